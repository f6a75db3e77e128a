/** Where what lies in the records of one perf buffer: the same for all of them, from the sample type. */
import { PERF_BUFFER, PERF_RECORD, PERF_SAMPLE } from "../../spec/index.ts";
import type { Arena } from "../arena.ts";
import { readU64 } from "../maps/map.ts";
import type { RecordCallback } from "./reader.ts";

const HEADER_BYTES = 8;
const FIELD_BYTES = 8;
const { IDENTIFIER, IP, TID, TIME, CALLCHAIN, RAW } = PERF_SAMPLE;
/** what comes before the time */
const BEFORE_TIME = [IDENTIFIER, IP, TID];

export class PerfLayout {
  readonly address: number;
  readonly data: number;
  readonly dataBytes: number;
  readonly cpu: number;
  readonly #hasRaw: boolean;
  /** a call chain, of any length, is the last field before the raw data */
  readonly #hasChain: boolean;
  /** offset of the raw size where there is no address in the call chain, and of the time (0: none), in a sample */
  readonly #rawOffset: number;
  readonly #timeOffset: number;

  constructor({ view }: Arena, buffer: number) {
    this.address = buffer;
    this.data = view.getUint32(buffer + PERF_BUFFER.data, true);
    this.dataBytes = view.getUint32(buffer + PERF_BUFFER.dataSize, true);
    this.cpu = view.getUint32(buffer + PERF_BUFFER.cpu, true);
    const type = view.getUint32(buffer + PERF_BUFFER.sampleType, true);
    const bytesOf = (bits: readonly number[]): number =>
      bits.filter((bit) => (type & bit) !== 0).length * FIELD_BYTES + HEADER_BYTES;
    this.#hasChain = (type & CALLCHAIN) !== 0;
    this.#hasRaw = (type & RAW) !== 0;
    this.#rawOffset = bytesOf(Object.values(PERF_SAMPLE).filter((bit) => bit !== RAW));
    this.#timeOffset = (type & TIME) === 0 ? 0 : bytesOf(BEFORE_TIME);
  }

  /** ns of the sample at `at`, null where it has none or is none. */
  timeOf(arena: Arena, at: number): bigint | null {
    if (this.#timeOffset === 0 || arena.view.getUint32(at, true) !== PERF_RECORD.SAMPLE) return null;
    const isCut = arena.view.getUint16(at + 6, true) < this.#timeOffset + FIELD_BYTES;
    return isCut ? null : readU64(arena, at + this.#timeOffset);
  }

  /** The record at `at` was reserved and neither committed nor discarded (wasm/perf-reserve.wat). */
  isReserved(arena: Arena, at: number): boolean {
    const { view } = arena;
    if (view.getUint32(at, true) !== PERF_RECORD.DISCARDED) return false;
    return view.getUint32(at + this.#rawOffsetOf(arena, at), true) === this.address;
  }

  /** Hands out the sample of `length` bytes at `at`. One that was cut short ends where the record does. */
  handOut(arena: Arena, at: number, length: number, callback: RecordCallback): void {
    const offset = this.#rawOffsetOf(arena, at);
    const room = length - offset - 4;
    const raw = this.#hasRaw && room > 0 ? arena.view.getUint32(at + offset, true) : 0;
    callback(at + offset + 4, raw < room ? raw : Math.max(0, room), this.cpu, this.timeOf(arena, at));
  }

  /** A record with a call chain is never cut inside it. */
  #rawOffsetOf({ view }: Arena, at: number): number {
    if (!this.#hasChain) return this.#rawOffset;
    const count = view.getUint32(at + this.#rawOffset - FIELD_BYTES, true);
    return this.#rawOffset + count * FIELD_BYTES;
  }
}
