/**
 * What reading a ring buffer and reading perf buffers have in common: draining in place, async iteration with back-pressure,
 * waking, the end. A record leaves the buffer when it has been handed out; the buffer itself is the queue, so a slow reader
 * fills it and nothing else.
 */
import type { KeylessMap } from "../maps/keyless.ts";
import { RecordCopier } from "./copier.ts";
import { KeepAlive, WakeWord, type WakeWords } from "./wake.ts";

/**
 * Gets a record in place: `length` bytes at `address` of the arena, to be read before it returns. `cpu` is the virtual CPU
 * and `time` (ns) that of the event, null where the buffer does not say.
 */
export type RecordCallback = (address: number, length: number, cpu: number | null, time: bigint | null) => void;

/** A record, copied. */
export interface RingRecord {
  /** in memory that records may share */
  readonly data: Uint8Array;
  readonly cpu: number | null;
  /** ns */
  readonly time: bigint | null;
}

/** Makes of a record's copy what its reader is given. */
export type RecordMaker<Made> = (data: Uint8Array, cpu: number | null, time: bigint | null) => Made;

const ringRecord: RecordMaker<RingRecord> = (data, cpu, time) => ({ data, cpu, time });

export interface ReaderOptions {
  /**
   * Hand out the records that are there in order of their time, across CPUs and workers. Perf buffers need PERF_SAMPLE.TIME;
   * a ring buffer notes the time of every record from then on, for 8 bytes of memory for each 8 bytes of its own.
   */
  readonly ordered?: boolean | undefined;
  /** ends the reading: records() throws its reason */
  readonly signal?: AbortSignal | undefined;
  /** called when losses are first seen, with the number of records since the last call */
  readonly onLost?: ((count: bigint, cpu: number | null) => void) | undefined;
}

/** Records of a batch and of a round, unless a caller says. */
const BATCH_RECORDS = 256;
const FOLLOW_RECORDS = 65_536;
/** Longer than any store takes to be seen by other threads. */
const SETTLING_MS = 1;

export abstract class RecordReader {
  readonly map: KeylessMap;
  protected readonly options: ReaderOptions;
  readonly #word: WakeWord;
  readonly #alive = new KeepAlive();
  readonly #copier = new RecordCopier();
  #closed = false;
  #ended = false;
  #draining = false;
  #relief: (() => void)[] = [];
  readonly #onAbort = (): void => this.close();

  constructor(map: KeylessMap, words: WakeWords, options: ReaderOptions) {
    map.attachReader(this);
    this.map = map;
    this.options = options;
    this.#word = new WakeWord(map.world.arena, words);
    options.signal?.addEventListener("abort", this.#onAbort);
    if (options.signal?.aborted === true) this.close();
  }

  /** Records that found no room, since the map was made. */
  abstract get lost(): bigint;

  /** Hands at most `limit` records to the callback and makes room; returns how many. What the callback throws comes through. */
  protected abstract take(callback: RecordCallback, limit: number): number;

  get closed(): boolean {
    return this.#closed;
  }

  /** drain() would hand something out: much cheaper to ask than to drain. */
  get hasRecords(): boolean {
    return !this.#gone && this.ready;
  }

  /**
   * Hands all records that are there to the callback, in place, without a copy. Returns how many. Where the callback throws,
   * the record it got counts as read. A drain inside a drain finds nothing.
   */
  drain(callback: RecordCallback, limit = Number.POSITIVE_INFINITY): number {
    if (this.#draining || this.#gone) return 0;
    this.#draining = true;
    try {
      return this.take(callback, limit);
    } finally {
      this.#draining = false;
      this.#relieve();
    }
  }

  /**
   * All records from here on, copied one by one as they are asked for. Ends after end() and after close(); throws the
   * signal's reason. Leaving the loop closes the reader.
   */
  records(): AsyncGenerator<RingRecord, void, undefined> {
    return this.recordsAs(ringRecord);
  }

  /** The same, made into something else: a generator around a generator would take as long again. */
  async *recordsAs<Made>(make: RecordMaker<Made>): AsyncGenerator<Made, void, undefined> {
    const found: Made[] = [];
    const keep = this.#copyInto(found, make);
    try {
      while (this.#drainNow(keep, 1) > 0 || (await this.#next(keep, 1)) > 0) yield found.pop()!;
    } finally {
      this.close();
    }
  }

  /**
   * As records(), in batches: all that is there when one is asked for, `limit` at most, waiting for the first. For who does
   * something with many at once, or wants fewer turns of the event loop.
   */
  batches(limit?: number): AsyncGenerator<RingRecord[], void, undefined> {
    return this.batchesAs(ringRecord, limit);
  }

  /** The same, made into something else. */
  async *batchesAs<Made>(make: RecordMaker<Made>, limit = BATCH_RECORDS): AsyncGenerator<Made[], void, undefined> {
    try {
      while (true) {
        const batch: Made[] = [];
        if ((await this.#next(this.#copyInto(batch, make), Math.max(1, limit))) === 0) return;
        yield batch;
      }
    } finally {
      this.close();
    }
  }

  /**
   * Hands every record from here on to the callback, in place, without a copy. Resolves with their number after end() and
   * after close(); rejects with the signal's reason and with what the callback throws. The reader is closed then.
   */
  async follow(callback: RecordCallback): Promise<number> {
    let total = 0;
    try {
      while (true) {
        const count = await this.#next(callback, FOLLOW_RECORDS);
        if (count === 0) return total;
        total += count;
        // a producer on another thread that never pauses must not keep everything else from running
        if (count === FOLLOW_RECORDS) await new Promise((resolve) => setTimeout(resolve, 0));
      }
    } finally {
      this.close();
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<RingRecord, void, undefined> {
    return this.records();
  }

  /**
   * Resolves when no buffer is more than half full, or when nobody reads any more. For whoever produces: a program that meets
   * a full buffer loses its record.
   */
  async relieved(): Promise<void> {
    if (this.#gone || !this.map.moreThanHalfFull) return;
    // a reader that sleeps although there is much to read was not woken: programs may ask for that (NO_WAKEUP)
    this.#word.signal();
    await new Promise<void>((resolve) => this.#relief.push(resolve));
  }

  /** Wakes a waiting reader, as poll() with a timeout would: records may have come without a wake-up (NO_WAKEUP). */
  wake(): void {
    if (!this.#gone) this.#word.signal();
  }

  /** No more records will come: records() gives what is left and ends. */
  end(): void {
    this.#ended = true;
    this.wake();
  }

  /** Stops at once; a waiting records() ends. The map stays open, and another reader can go on where this one stopped. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.map.detachReader(this);
    this.options.signal?.removeEventListener("abort", this.#onAbort);
    if (!this.map.closed) this.#word.signal();
    this.#relieve();
  }

  /** As on other handles of Node: an unref'd reader that waits does not keep the process alive. */
  ref(): this {
    this.#alive.ref();
    return this;
  }
  unref(): this {
    this.#alive.unref();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }

  get #gone(): boolean {
    return this.#closed || this.map.closed;
  }

  /** Hands on up to `limit` records, waiting for the first. 0: no more will come. */
  async #next(callback: RecordCallback, limit: number): Promise<number> {
    while (true) {
      const count = this.#drainNow(callback, limit);
      if (count > 0 || this.#gone || this.#ended) return count;
      await this.#wait();
    }
  }

  #drainNow(callback: RecordCallback, limit: number): number {
    this.options.signal?.throwIfAborted();
    return this.drain(callback, limit);
  }

  #copyInto<Made>(found: Made[], make: RecordMaker<Made>): RecordCallback {
    const { arena } = this.map.world;
    return (address, length, cpu, time) => {
      found.push(make(this.#copier.copy(arena.bytes, address, length), cpu, time));
    };
  }

  /** There is a record that take() would hand out. */
  protected abstract get ready(): boolean;

  async #wait(): Promise<void> {
    const seen = this.#word.announce();
    this.#alive.hold();
    try {
      // A producer on another thread may have looked for waiting readers just before this one said so, with its record still
      // on the way to memory. It pays for no fence: the reader looks once more before it sleeps for good.
      if (this.map.world.arena.lanes > 1 && this.#isIdle) await this.#word.wait(seen, SETTLING_MS);
      if (this.#isIdle) await this.#word.wait(seen);
    } finally {
      this.#alive.release();
      if (!this.map.closed) this.#word.withdraw();
    }
  }

  get #isIdle(): boolean {
    return !this.#ended && !this.#gone && !this.ready;
  }

  #relieve(): void {
    if (this.#relief.length === 0 || (!this.#gone && this.map.moreThanHalfFull)) return;
    const waiting = this.#relief;
    this.#relief = [];
    for (const resolve of waiting) resolve();
  }
}
