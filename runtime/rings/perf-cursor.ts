/** A reader's place in one perf buffer: takes its records apart. The layout is wasm/perf.wat's. */
import { BugError } from "../../base/index.ts";
import { PERF_BUFFER, PERF_RECORD, PERF_SAMPLE } from "../../spec/index.ts";
import { readU64 } from "../maps/map.ts";
import type { PerfEventArrayMap } from "../maps/perf-array.ts";
import { readPosition, writePosition } from "./position.ts";
import type { RecordCallback } from "./reader.ts";

const HEADER_BYTES = 8;

export class PerfCursor {
  readonly slot: number;
  readonly #map: PerfEventArrayMap;
  readonly #buffer: number;
  readonly #data: number;
  readonly #dataBytes: number;
  readonly #cpu: number;
  readonly #hasRaw: boolean;
  /** offset of the raw size, and of the time (0: none), in a sample */
  readonly #rawOffset: number;
  readonly #timeOffset: number;
  #position: number;
  #published: number;
  #end: number;

  constructor(map: PerfEventArrayMap, slot: number, buffer: number) {
    const { view } = map.world.arena;
    this.slot = slot;
    this.#map = map;
    this.#buffer = buffer;
    this.#data = view.getUint32(buffer + PERF_BUFFER.data, true);
    this.#dataBytes = view.getUint32(buffer + PERF_BUFFER.dataSize, true);
    this.#cpu = view.getUint32(buffer + PERF_BUFFER.cpu, true);
    const type = view.getUint32(buffer + PERF_BUFFER.sampleType, true);
    const { IDENTIFIER, TID, TIME, ID, CPU, RAW } = PERF_SAMPLE;
    const bytesOf = (...bits: number[]): number => bits.filter((bit) => (type & bit) !== 0).length * 8;
    this.#hasRaw = (type & RAW) !== 0;
    this.#rawOffset = HEADER_BYTES + bytesOf(IDENTIFIER, TID, TIME, ID, CPU);
    this.#timeOffset = (type & TIME) === 0 ? 0 : HEADER_BYTES + bytesOf(IDENTIFIER, TID);
    this.#position = readPosition(view, buffer + PERF_BUFFER.dataTail);
    this.#published = this.#position;
    this.#end = this.#position;
  }

  /** The buffer is still the map's: a callback may close it, or the map. */
  get isOpen(): boolean {
    return !this.#map.closed && this.#map.buffers.get(this.slot) === this.#buffer;
  }

  get hasRecord(): boolean {
    if (this.#position < this.#end) return this.isOpen;
    if (!this.isOpen) return false;
    this.#end = readPosition(this.#map.world.arena.view, this.#buffer + PERF_BUFFER.dataHead);
    return this.#position < this.#end;
  }

  /** ns; a report of losses has none and comes at once. */
  get headTime(): bigint {
    return this.#timeOf(this.#head) ?? 0n;
  }

  /** Hands out up to `limit` samples; stops behind a report of losses too. Returns how many samples. */
  take(callback: RecordCallback, limit: number, onLost: ((count: bigint, cpu: number | null) => void) | null): number {
    let count = 0;
    while (count < limit && this.hasRecord) {
      const { arena } = this.#map.world;
      const view = arena.view;
      const at = this.#head;
      const length = view.getUint16(at + 6, true);
      if (length === 0 || length > this.#end - this.#position)
        throw new BugError(`a perf record of ${length} bytes where ${this.#end - this.#position} are written`);
      this.#position += length;
      if (view.getUint32(at, true) === PERF_RECORD.LOST) {
        onLost?.(readU64(arena, at + 16), this.#cpu);
        return count;
      }
      const raw = at + this.#rawOffset;
      count += 1;
      callback(raw + 4, this.#hasRaw ? view.getUint32(raw, true) : 0, this.#cpu, this.#timeOf(at));
      // producers see the room before a long drain is over
      if ((this.#position - this.#published) * 4 > this.#dataBytes) this.publish();
    }
    return count;
  }

  /** Shows producers how far the reader is. */
  publish(): void {
    if (this.#position === this.#published || !this.isOpen) return;
    writePosition(this.#map.world.arena.view, this.#buffer + PERF_BUFFER.dataTail, this.#position);
    this.#published = this.#position;
  }

  get #head(): number {
    return this.#data + (this.#position % this.#dataBytes);
  }

  #timeOf(at: number): bigint | null {
    const { arena } = this.#map.world;
    if (this.#timeOffset === 0 || arena.view.getUint32(at, true) !== PERF_RECORD.SAMPLE) return null;
    return readU64(arena, at + this.#timeOffset);
  }
}
