/**
 * Reads the perf buffers of a map. Kernel: perf_event_mmap_page and the records of include/uapi/linux/perf_event.h.
 * Records of one CPU come in order; across CPUs in order of time where asked for, else buffer by buffer.
 */
import { MAP, MAP_PRIVATE, PERF_BUFFER, PERF_MODE } from "../../spec/index.ts";
import type { PerfEventArrayMap } from "../maps/perf-array.ts";
import { earliest } from "./earliest.ts";
import { type Framing, PerfCursor } from "./perf-cursor.ts";
import { readPosition } from "./position.ts";
import { type ReaderOptions, type RecordCallback, RecordReader } from "./reader.ts";

export interface PerfReaderOptions extends ReaderOptions {
  /** for buffers of format "bare": how long the record is that begins here; default: all that is there is one */
  readonly framing?: Framing | undefined;
}

const UNFRAMED: Framing = (_view, _address, available) => available;

export class PerfReader extends RecordReader {
  readonly #map: PerfEventArrayMap;
  readonly #ordered: boolean;
  readonly #framing: Framing;
  #cursors: PerfCursor[] = [];

  constructor(map: PerfEventArrayMap, options: PerfReaderOptions = {}) {
    const words = map.address + MAP.private;
    const { wake, waiters } = MAP_PRIVATE.perfEventArray;
    super(map, { wake: words + wake, waiters: words + waiters }, options);
    this.#map = map;
    this.#ordered = options.ordered ?? false;
    this.#framing = options.framing ?? UNFRAMED;
  }

  override get lost(): bigint {
    return this.#map.lost;
  }

  protected override get ready(): boolean {
    const { arena } = this.#map.world;
    const { view } = arena;
    for (const buffer of this.#map.buffers.values()) {
      if ((view.getUint32(buffer + PERF_BUFFER.mode, true) & PERF_MODE.BACKWARD) !== 0) continue;
      if (readPosition(arena, buffer + PERF_BUFFER.dataHead) !== readPosition(arena, buffer + PERF_BUFFER.dataTail))
        return true;
    }
    return false;
  }

  protected override take(callback: RecordCallback, limit: number): number {
    this.#followBuffers();
    const onLost = this.options.onLost ?? null;
    let count = 0;
    try {
      while (count < limit) {
        const cursor = this.#ordered ? earliest(this.#cursors) : this.#cursors.find((each) => each.hasRecord);
        if (cursor === undefined) break;
        count += this.#ordered ? cursor.take(callback, 1, onLost) : cursor.take(callback, limit - count, onLost);
      }
    } finally {
      for (const cursor of this.#cursors) cursor.publish();
    }
    return count;
  }

  /** A cursor for each buffer that is open now. */
  #followBuffers(): void {
    this.#cursors = this.#cursors.filter((cursor) => cursor.isOpen);
    if (this.#cursors.length === this.#map.buffers.size) return;
    const { view } = this.#map.world.arena;
    for (const [slot, buffer] of this.#map.buffers) {
      const mode = view.getUint32(buffer + PERF_BUFFER.mode, true);
      // what is overwritten is no queue: readSnapshot()
      if ((mode & PERF_MODE.BACKWARD) !== 0 || this.#cursors.some((cursor) => cursor.slot === slot)) continue;
      const framing = (mode & PERF_MODE.BARE) === 0 ? null : this.#framing;
      this.#cursors.push(new PerfCursor(this.#map, slot, buffer, framing));
    }
    this.#cursors.sort((a, b) => a.slot - b.slot);
  }
}
