/**
 * Reads a BPF ring buffer, as libbpf's ring_buffer__consume() does; where lanes of workers have rings of their own, one ring
 * after the other, or in order of time. Kernel: kernel/bpf/ringbuf.c.
 */
import { MAP, MAP_PRIVATE, RING } from "../../spec/index.ts";
import type { RingbufMap } from "../maps/ringbuf.ts";
import { earliest } from "./earliest.ts";
import { readPosition } from "./position.ts";
import { type ReaderOptions, type RecordCallback, RecordReader } from "./reader.ts";
import { RingCursor } from "./ring-cursor.ts";

export class RingbufReader extends RecordReader {
  readonly #map: RingbufMap;
  readonly #ordered: boolean;
  readonly #cursors: readonly RingCursor[];
  /** ring that was read first last time */
  #first = 0;
  /** losses that onLost was told */
  #reported: bigint;

  constructor(map: RingbufMap, options: ReaderOptions = {}) {
    const words = map.address + MAP.private;
    const { wake, waiters } = MAP_PRIVATE.ringbuf;
    super(map, { wake: words + wake, waiters: words + waiters }, options);
    this.#map = map;
    // one ring is in order of reservation, which is what can be had
    this.#ordered = options.ordered === true && map.rings.length > 1;
    if (this.#ordered) map.keepTimes();
    this.#cursors = map.rings.map((_ring, index) => new RingCursor(map, index));
    this.#reported = map.dropped;
  }

  override get lost(): bigint {
    return this.#map.dropped;
  }

  protected override get ready(): boolean {
    const { arena } = this.#map.world;
    const { rings, maxEntries } = this.#map;
    for (const ring of rings) {
      const consumer = readPosition(arena, ring + RING.consumer);
      if (consumer === readPosition(arena, ring + RING.producer)) continue;
      if ((arena.view.getUint32(ring + RING.data + (consumer % maxEntries), true) & RING.busy) === 0) return true;
    }
    return false;
  }

  protected override take(callback: RecordCallback, limit: number): number {
    this.#reportLost();
    let count = 0;
    try {
      if (!this.#ordered) count = this.#takeInTurns(callback, limit);
      while (this.#ordered && count < limit) {
        const cursor = earliest(this.#cursors);
        if (cursor === undefined) break;
        count += cursor.take(callback, 1);
      }
    } finally {
      for (const cursor of this.#cursors) cursor.publish();
    }
    return count;
  }

  /** Beginning with another ring every time, so that none is kept waiting by one that is never empty. */
  #takeInTurns(callback: RecordCallback, limit: number): number {
    const rings = this.#cursors.length;
    this.#first = (this.#first + 1) % rings;
    let count = 0;
    for (let n = 0; n < rings && count < limit; n++)
      count += this.#cursors[(this.#first + n) % rings]!.take(callback, limit - count);
    return count;
  }

  #reportLost(): void {
    const dropped = this.#map.dropped;
    if (dropped === this.#reported) return;
    this.options.onLost?.(dropped - this.#reported, null);
    this.#reported = dropped;
  }
}
