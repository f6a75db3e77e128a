/**
 * A reader's place in one BPF ring: takes its records apart. What is written where is wasm/ringbuf.wat's. Programs can, in the
 * kernel as here, write where a record was that they submitted, so headers are not believed: a record ends where producers
 * say that the last one does, or before.
 */
import { FaultError } from "../../base/index.ts";
import { RING } from "../../spec/index.ts";
import { readU64 } from "../maps/map.ts";
import type { RingbufMap } from "../maps/ringbuf.ts";
import { readPosition, writePosition } from "./position.ts";
import type { RecordCallback } from "./reader.ts";

export class RingCursor {
  readonly #map: RingbufMap;
  readonly #index: number;
  /** what producers know of the reader; the rest counts from there, in small integers */
  #start: number;
  #read = 0;
  #available = 0;
  /** of the next record in the data area */
  #offset: number;

  /** `index` of RingbufMap.rings, whose address may change. */
  constructor(map: RingbufMap, index: number) {
    this.#map = map;
    this.#index = index;
    this.#start = readPosition(map.world.arena, this.#ring + RING.consumer);
    this.#offset = this.#start % map.maxEntries;
  }

  /** The next record is complete. Passes over records that were given up. */
  get hasRecord(): boolean {
    const { arena } = this.#map.world;
    while (!this.#map.closed) {
      if (this.#read === this.#available) {
        this.#available = readPosition(arena, this.#ring + RING.producer) - this.#start;
        if (this.#read === this.#available) return false;
      }
      const word = Atomics.load(arena.i32, this.#header / 4);
      if ((word & RING.busy) !== 0) return false;
      if ((word & RING.discard) === 0) return true;
      this.#pass(word);
    }
    return false;
  }

  /** ns; 0n where times are not kept. Of a record that is there. */
  get headTime(): bigint {
    const { arena } = this.#map.world;
    const times = arena.view.getUint32(this.#ring + RING.times, true);
    return times === 0 ? 0n : readU64(arena, times + this.#offset);
  }

  /** Hands out up to `limit` records; returns how many. */
  take(callback: RecordCallback, limit: number): number {
    const { arena } = this.#map.world;
    const hasTimes = arena.view.getUint32(this.#ring + RING.times, true) !== 0;
    let count = 0;
    while (count < limit && this.hasRecord) {
      const header = this.#header;
      const time = hasTimes ? this.headTime : null;
      const length = arena.view.getUint32(header, true);
      this.#pass(length);
      count += 1;
      callback(header + RING.headerBytes, length, null, time);
      // producers see the room before a long drain is over
      if (this.#read > this.#map.maxEntries >> 2) this.publish();
    }
    return count;
  }

  /** Shows producers how far the reader is. */
  publish(): void {
    if (this.#read === 0 || this.#map.closed) return;
    this.#start += this.#read;
    this.#available -= this.#read;
    this.#read = 0;
    writePosition(this.#map.world.arena, this.#ring + RING.consumer, this.#start);
  }

  #pass(word: number): void {
    const bytes = ((word & ~RING.discard) + RING.headerBytes + 7) & ~7;
    if (bytes > this.#available - this.#read) throw this.#damaged();
    this.#read += bytes;
    this.#offset = (this.#offset + bytes) & (this.#map.maxEntries - 1);
  }

  /** Where the next record begins is not known any more: goes on behind the last one. */
  #damaged(): FaultError {
    this.#offset = (this.#offset + this.#available - this.#read) & (this.#map.maxEntries - 1);
    this.#read = this.#available;
    return new FaultError("RING_DAMAGED", `a record of ring buffer ${this.#map.name} has a header that no record has`);
  }

  get #ring(): number {
    return this.#map.rings[this.#index]!;
  }

  get #header(): number {
    return this.#ring + RING.data + this.#offset;
  }
}
