/** A reader's place in one perf buffer: takes its records apart. What is written where is wasm/perf.wat's. */
import { BugError } from "../../base/index.ts";
import { PERF_BUFFER, PERF_RECORD } from "../../spec/index.ts";
import { readU64 } from "../maps/map.ts";
import type { PerfEventArrayMap } from "../maps/perf-array.ts";
import { PerfLayout } from "./perf-layout.ts";
import { readPosition, writePosition } from "./position.ts";
import type { RecordCallback } from "./reader.ts";

/**
 * Says how long the record is that begins at `address` of the arena, of which `available` bytes are there. For buffers in
 * the consumer's own format; every record is contiguous.
 */
export type Framing = (view: DataView, address: number, available: number) => number;

export class PerfCursor {
  readonly slot: number;
  readonly #map: PerfEventArrayMap;
  readonly #layout: PerfLayout;
  /** null: records have headers */
  readonly #framing: Framing | null;
  #position: number;
  #published: number;
  #end: number;

  constructor(map: PerfEventArrayMap, slot: number, buffer: number, framing: Framing | null) {
    const { arena } = map.world;
    this.slot = slot;
    this.#map = map;
    this.#layout = new PerfLayout(arena, buffer);
    this.#framing = framing;
    this.#position = readPosition(arena, buffer + PERF_BUFFER.dataTail);
    this.#published = this.#position;
    this.#end = this.#position;
  }

  /** The buffer is still the map's: a callback may close it, or the map. */
  get isOpen(): boolean {
    return !this.#map.closed && this.#map.buffers.get(this.slot) === this.#layout.address;
  }

  get hasRecord(): boolean {
    if (this.#position < this.#end) return this.isOpen;
    if (!this.isOpen) return false;
    this.#end = readPosition(this.#map.world.arena, this.#layout.address + PERF_BUFFER.dataHead);
    return this.#position < this.#end;
  }

  /** ns; a report of losses has none and comes at once. */
  get headTime(): bigint {
    return this.#framing === null ? (this.#layout.timeOf(this.#map.world.arena, this.#head) ?? 0n) : 0n;
  }

  /** Hands out up to `limit` samples; stops behind a report of losses too. Returns how many samples. */
  take(callback: RecordCallback, limit: number, onLost: ((count: bigint, cpu: number | null) => void) | null): number {
    let count = 0;
    while (count < limit && this.hasRecord) {
      const { arena } = this.#map.world;
      const at = this.#head;
      const length = this.#lengthAt(arena.view, at);
      this.#position += length;
      if (this.#framing !== null) {
        count += 1;
        callback(at, length, this.#layout.cpu, null);
      } else {
        const type = arena.view.getUint32(at, true);
        if (type === PERF_RECORD.LOST) {
          onLost?.(readU64(arena, at + 16), this.#layout.cpu);
          return count;
        }
        if (type === PERF_RECORD.DISCARDED) continue;
        count += 1;
        this.#layout.handOut(arena, at, length, callback);
      }
      // producers see the room before a long drain is over
      if ((this.#position - this.#published) * 4 > this.#layout.dataBytes) this.publish();
    }
    return count;
  }

  /** Shows producers how far the reader is. */
  publish(): void {
    if (this.#position === this.#published || !this.isOpen) return;
    writePosition(this.#map.world.arena, this.#layout.address + PERF_BUFFER.dataTail, this.#position);
    this.#published = this.#position;
  }

  #lengthAt(view: DataView, at: number): number {
    const available = this.#end - this.#position;
    if (this.#framing !== null) return framed(this.#framing, view, at, available);
    const length = view.getUint16(at + 6, true);
    if (length === 0 || length > available)
      throw new BugError(`a perf record of ${length} bytes where ${available} are written`);
    return length;
  }

  get #head(): number {
    return this.#layout.data + (this.#position % this.#layout.dataBytes);
  }
}

/** What no framing can make sense of is one record: bytes are never lost in silence, and never read for ever. */
function framed(framing: Framing, view: DataView, at: number, available: number): number {
  const length = framing(view, at, available);
  return Number.isInteger(length) && length > 0 && length <= available ? length : available;
}
