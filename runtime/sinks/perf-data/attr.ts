/**
 * How a file describes its events: one for each map, a software event of BPF output, as `perf record -e bpf-output` has them.
 * Formats: struct perf_event_attr in include/uapi/linux/perf_event.h; tools/perf/Documentation/perf.data-file-format.txt.
 */
import {
  ATTR_FLAG_COMM,
  ATTR_FLAG_SAMPLE_ID_ALL,
  ATTR_TYPE_SOFTWARE,
  READ_FORMAT,
  SAMPLE,
  SOFTWARE_BPF_OUTPUT,
} from "../../../spec/perf.ts";
import type { RecordOrigin } from "../sink.ts";

/** PERF_ATTR_SIZE_VER0: the fields behind are zero and may be left out. */
export const ATTR_BYTES = 64;
/**
 * Fields of every sample, in this order: IDENTIFIER, IP, TID, TIME, CPU, then RAW. Nobody knows an instruction of the recorded
 * machine, but perf script refuses to print software events that have no IP.
 */
export const SAMPLE_TYPE = SAMPLE.IDENTIFIER | SAMPLE.IP | SAMPLE.TID | SAMPLE.TIME | SAMPLE.CPU | SAMPLE.RAW;

export interface OutputEvent {
  /** the map's name; `ringbuf:NAME` of a BPF ring buffer, whose records have no padding */
  readonly name: string;
  readonly id: number;
}

export function outputEvents(origins: readonly RecordOrigin[]): OutputEvent[] {
  return origins.map(({ map, kind }, index) => ({ name: kind === "ringbuf" ? `ringbuf:${map}` : map, id: index + 1 }));
}

/** Writes the attr of any event: they do not differ. */
export function writeAttr(view: DataView, offset: number): void {
  const set = (at: number, value: number): void => view.setUint32(offset + at, value, true);
  set(0, ATTR_TYPE_SOFTWARE);
  set(4, ATTR_BYTES);
  set(8, SOFTWARE_BPF_OUTPUT);
  // every record is a sample
  set(16, 1);
  set(24, SAMPLE_TYPE);
  set(32, READ_FORMAT.ID);
  set(40, ATTR_FLAG_SAMPLE_ID_ALL | ATTR_FLAG_COMM);
}

/** Text of a header section: length word, then the text and zeros up to a multiple of 64. */
export function textSection(text: string): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  const bytes = new Uint8Array(4 + (Math.floor(encoded.length / 64) + 1) * 64);
  new DataView(bytes.buffer).setUint32(0, bytes.length - 4, true);
  bytes.set(encoded, 4);
  return bytes;
}
