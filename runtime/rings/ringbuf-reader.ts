/** Reads a BPF ring buffer, as libbpf's ring_buffer__consume() does. Kernel: kernel/bpf/ringbuf.c. */
import { RING } from "../../spec/index.ts";
import type { RingbufMap } from "../maps/ringbuf.ts";
import { readPosition, writePosition } from "./position.ts";
import { type ReaderOptions, type RecordCallback, RecordReader } from "./reader.ts";

export class RingbufReader extends RecordReader {
  readonly #map: RingbufMap;
  /** losses that onLost was told */
  #reported: bigint;

  constructor(map: RingbufMap, options: ReaderOptions = {}) {
    super(map, { wake: map.ring + RING.wake, waiters: map.ring + RING.waiters }, options);
    this.#map = map;
    this.#reported = map.dropped;
  }

  override get lost(): bigint {
    return this.#map.dropped;
  }

  protected override get ready(): boolean {
    const { view } = this.#map.world.arena;
    const { ring, maxEntries } = this.#map;
    const consumer = readPosition(view, ring + RING.consumer);
    if (consumer === readPosition(view, ring + RING.producer)) return false;
    return (view.getUint32(ring + RING.data + (consumer % maxEntries), true) & RING.busy) === 0;
  }

  protected override take(callback: RecordCallback, limit: number): number {
    this.#reportLost();
    const { arena } = this.#map.world;
    const { ring, maxEntries } = this.#map;
    const mask = maxEntries - 1;
    // `start` is what producers know; the rest counts from there, in small integers
    let start = readPosition(arena.view, ring + RING.consumer);
    let offset = start % maxEntries;
    let read = 0;
    let available = 0;
    let count = 0;
    const publish = (): void => {
      if (read === 0 || this.#map.closed) return;
      start += read;
      available -= read;
      read = 0;
      writePosition(arena.view, ring + RING.consumer, start);
    };
    try {
      while (count < limit && !this.#map.closed) {
        const view = arena.view;
        if (read === available) {
          // what the callbacks' own programs, or another worker, wrote meanwhile
          available = readPosition(view, ring + RING.producer) - start;
          if (read === available) break;
        }
        const header = ring + RING.data + offset;
        const word = view.getUint32(header, true);
        if ((word & RING.busy) !== 0) break;
        const length = word & ~RING.discard;
        const bytes = (length + RING.headerBytes + 7) & ~7;
        read += bytes;
        offset = (offset + bytes) & mask;
        if ((word & RING.discard) === 0) {
          count += 1;
          callback(header + RING.headerBytes, length, null, null);
        }
        // producers see the room before a long drain is over
        if (read > maxEntries >> 2) publish();
      }
    } finally {
      publish();
    }
    return count;
  }

  #reportLost(): void {
    const dropped = this.#map.dropped;
    if (dropped === this.#reported) return;
    this.options.onLost?.(dropped - this.#reported, null);
    this.#reported = dropped;
  }
}
