/**
 * Writes samples into a user ring buffer, for programs to drain: libbpf's user_ring_buffer__reserve(), __submit(),
 * __discard() and __reserve_blocking(). One writer a map; what it reserves is drained in that order, when it is submitted.
 */
import { RING } from "../../spec/index.ts";
import type { UserRingbufMap } from "../maps/user-ringbuf.ts";
import { readPosition, writePosition } from "./position.ts";
import { KeepAlive, WakeWord } from "./wake.ts";

export interface SampleWriterOptions {
  /** ends waits for room with its reason */
  readonly signal?: AbortSignal;
}

/** Room for one sample in the ring itself, until it is submitted or discarded. */
export interface Sample {
  /** the ring's own bytes: what is written here is what programs see; not cleared before */
  readonly bytes: Uint8Array;
  /** address of the bytes in the arena */
  readonly address: number;
  /** Shows it to programs. */
  submit(): void;
  /** Takes it back: programs do not see it. */
  discard(): void;
}

export class SampleWriter {
  readonly map: UserRingbufMap;
  readonly #options: SampleWriterOptions;
  readonly #word: WakeWord;
  readonly #alive = new KeepAlive();
  readonly #open = new Set<Sample>();
  #closed = false;

  constructor(map: UserRingbufMap, options: SampleWriterOptions = {}) {
    map.attachWriter(this);
    this.map = map;
    this.#options = options;
    this.#word = new WakeWord(map.world.arena, { wake: map.word("wake"), waiters: map.word("waiters") });
  }

  get closed(): boolean {
    return this.#closed || this.map.closed;
  }

  /** Bytes that are free, of which a sample takes its length and 8, rounded up to 8. */
  get freeBytes(): number {
    const { arena } = this.map.world;
    const { ring, maxEntries } = this.map;
    return maxEntries - (readPosition(arena, ring + RING.producer) - readPosition(arena, ring + RING.consumer));
  }

  /** Null where there is no room now. Throws MapError, E2BIG, where there never will be: the ring is smaller. */
  reserve(bytes: number): Sample | null {
    const total = this.#totalOf(bytes);
    if (this.freeBytes < total) return null;
    const { arena } = this.map.world;
    const { ring, maxEntries } = this.map;
    const position = readPosition(arena, ring + RING.producer);
    const header = ring + RING.data + (position % maxEntries);
    Atomics.store(arena.i32, header / 4, bytes | RING.busy);
    arena.view.setUint32(header + 4, 0, true);
    writePosition(arena, ring + RING.producer, position + total);
    return this.#sample(header, bytes);
  }

  /** Copies a sample into the ring and submits it; false where there is no room. */
  write(bytes: Uint8Array): boolean {
    const sample = this.reserve(bytes.length);
    if (sample === null) return false;
    sample.bytes.set(bytes);
    sample.submit();
    return true;
  }

  /** As reserve(), waiting until programs have drained enough. Rejects with the signal's reason. */
  async reserveWhenFree(bytes: number): Promise<Sample> {
    while (true) {
      this.#options.signal?.throwIfAborted();
      const seen = this.#word.announce();
      try {
        const sample = this.reserve(bytes);
        if (sample !== null) return sample;
        await this.#wait(seen);
      } finally {
        this.#word.withdraw();
      }
    }
  }

  /** What is reserved and not submitted is discarded. Another writer may go on. */
  close(): void {
    if (this.#closed) return;
    if (!this.map.closed) {
      for (const sample of this.#open) sample.discard();
      this.#word.signal();
    }
    this.#closed = true;
    this.map.detachWriter(this);
  }

  /** As on other handles of Node: an unref'd writer that waits does not keep the process alive. */
  ref(): this {
    this.#alive.ref();
    return this;
  }
  unref(): this {
    this.#alive.unref();
    return this;
  }
  [Symbol.dispose](): void {
    this.close();
  }

  #totalOf(bytes: number): number {
    if (this.closed) throw this.map.refuse("EBADF", "its writer is closed");
    const total = Math.ceil((bytes + RING.headerBytes) / 8) * 8;
    if (!Number.isInteger(bytes) || bytes < 0) throw this.map.refuse("EINVAL", `a sample of ${bytes} bytes`);
    if (total > this.map.maxEntries)
      throw this.map.refuse("E2BIG", `a sample of ${bytes} bytes is longer than the ring`);
    return total;
  }

  #sample(header: number, length: number): Sample {
    const { arena } = this.map.world;
    const address = header + RING.headerBytes;
    const end = (flags: number): void => {
      if (!this.#open.delete(sample)) throw this.map.refuse("EINVAL", "a sample is submitted or discarded twice");
      Atomics.store(arena.i32, header / 4, length | flags);
    };
    const sample: Sample = {
      bytes: arena.bytes.subarray(address, address + length),
      address,
      submit: () => end(0),
      discard: () => end(RING.discard),
    };
    this.#open.add(sample);
    return sample;
  }

  async #wait(seen: number): Promise<void> {
    const { signal } = this.#options;
    const wake = (): void => this.#word.signal();
    signal?.addEventListener("abort", wake, { once: true });
    this.#alive.hold();
    try {
      await this.#word.wait(seen);
    } finally {
      this.#alive.release();
      signal?.removeEventListener("abort", wake);
    }
  }
}
