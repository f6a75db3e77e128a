/**
 * Bytes of the traced processes' memory, fetched by the kernel at the moment of an event. They belong to that event alone:
 * the same address may hold other bytes at the next, or in another process.
 */

/** A place in a process and what was there. */
export interface Captured {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** What a thread's next event brings: fetched at the same place, by records that come before the event's own. */
interface Pending {
  /** what it was fetched for */
  readonly key: number;
  readonly captured: Captured[];
}

/** A system call that a thread is about to make, or is in. */
interface Call {
  readonly number: number;
  readonly captured: Captured[];
  /** arguments that were fetched: a second time it is another call */
  readonly parts: Set<number>;
  /** kinds of events that it was joined to, and when */
  readonly joined: Map<number, number>;
}

/** Threads that are remembered: those that end inside a call are not heard of again. */
const THREADS_MAX = 8192;

export class CapturedMemory {
  /** by EVENT of the batch */
  readonly #byEvent = new Map<number, readonly Captured[]>();
  readonly #calls = new Map<number, Call>();
  readonly #pending = new Map<number, Pending>();

  /** The batch has run. */
  release(): void {
    this.#byEvent.clear();
  }

  clear(): void {
    this.release();
    this.#calls.clear();
    this.#pending.clear();
  }

  /** Memory that comes with an EVENT. */
  add(event: number, captured: readonly Captured[]): void {
    if (captured.length === 0) return;
    const known = this.#byEvent.get(event);
    this.#byEvent.set(event, known === undefined ? captured : [...known, ...captured]);
  }

  /** Fetched for the next hit of that place by the thread. */
  expect(tid: number, key: number, captured: Captured | null): void {
    let pending = this.#pending.get(tid);
    if (pending?.key !== key) {
      pending = { key, captured: [] };
      remember(this.#pending, tid, pending);
    }
    if (captured !== null) pending.captured.push(captured);
  }

  /** What was fetched for this hit. */
  take(tid: number, key: number): readonly Captured[] {
    const pending = this.#pending.get(tid);
    if (pending === undefined) return [];
    this.#pending.delete(tid);
    return pending.key === key ? pending.captured : [];
  }

  /** The thread is about to make that system call; `part` tells which of the things is fetched that the call names. */
  beginCall(tid: number, number: number, part: number, captured: Captured | null): void {
    let call = this.#calls.get(tid);
    if (call === undefined || call.number !== number || call.parts.has(part) || call.joined.size > 0) {
      call = { number, captured: [], parts: new Set(), joined: new Map() };
      remember(this.#calls, tid, call);
    }
    call.parts.add(part);
    if (captured !== null) call.captured.push(captured);
  }

  /**
   * An EVENT of a system call of the thread. A kind of event comes once a call: when it comes again, that is a call of which
   * nothing was fetched. `time` tells events that one record became.
   */
  joinCall(tid: number, number: number, kind: number, time: number, event: number): void {
    const call = this.#calls.get(tid);
    if (call === undefined) return;
    const before = call.joined.get(kind);
    if (call.number !== number || (before !== undefined && before !== time)) {
      this.#calls.delete(tid);
      return;
    }
    call.joined.set(kind, time);
    this.add(event, call.captured);
  }

  /** Copies what was fetched from that address on, as far as it is known without a gap; returns how many bytes. */
  read(event: number, address: bigint, target: Uint8Array): number {
    const captured = this.#byEvent.get(event);
    if (captured === undefined) return 0;
    let done = 0;
    while (done < target.length) {
      const at = address + BigInt(done);
      const here = longestFrom(captured, at);
      if (here === null) break;
      const from = Number(at - here.address);
      const bytes = here.bytes.subarray(from, from + target.length - done);
      target.set(bytes, done);
      done += bytes.length;
    }
    return done;
  }
}

function longestFrom(captured: readonly Captured[], address: bigint): Captured | null {
  let best: Captured | null = null;
  let bestEnd = address;
  for (const one of captured) {
    const end = one.address + BigInt(one.bytes.length);
    if (address < one.address || end <= bestEnd) continue;
    best = one;
    bestEnd = end;
  }
  return best;
}

function remember<Value>(map: Map<number, Value>, tid: number, value: Value): void {
  map.delete(tid);
  map.set(tid, value);
  if (map.size <= THREADS_MAX) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
