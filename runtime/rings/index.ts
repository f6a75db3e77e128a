/** Readers of rings: openReader() gives the one that fits the map. */

import { BugError } from "../../base/index.ts";
import type { KeylessMap } from "../maps/keyless.ts";
import { PerfEventArrayMap } from "../maps/perf-array.ts";
import { RingbufMap } from "../maps/ringbuf.ts";
import { PerfReader, type PerfReaderOptions } from "./perf-reader.ts";
import type { RecordReader } from "./reader.ts";
import { RingbufReader } from "./ringbuf-reader.ts";

export { RecordCopier } from "./copier.ts";
export { PerfReader, type PerfReaderOptions } from "./perf-reader.ts";
export { readSnapshot } from "./perf-snapshot.ts";
export { type RecordMaker, RecordReader } from "./reader.ts";
export { RingbufReader } from "./ringbuf-reader.ts";
export { type Sample, SampleWriter, type SampleWriterOptions } from "./sample-writer.ts";

export function openReader(map: KeylessMap, options: PerfReaderOptions = {}): RecordReader {
  if (map instanceof RingbufMap) return new RingbufReader(map, options);
  if (map instanceof PerfEventArrayMap) return new PerfReader(map, options);
  throw new BugError(`no reader for a map of type ${map.spec.type}`);
}
