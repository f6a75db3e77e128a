/** Opens the sink that a file name, or its caller, asks for. */
import type { Writable } from "node:stream";
import { UsageError } from "../../base/index.ts";
import { type PcapngOptions, PcapngSink } from "./pcapng/sink.ts";
import { PerfDataSink } from "./perf-data/sink.ts";
import type { RecordSink } from "./sink.ts";
import { openTarget } from "./target.ts";

export const SINK_FORMATS = ["perf.data", "pcapng"] as const;
export type SinkFormat = (typeof SINK_FORMATS)[number];

export interface SinkOptions extends PcapngOptions {
  /** default: what the path's extension says (.data, .pcapng); for a stream perf.data */
  readonly format?: SinkFormat | undefined;
}

/**
 * Makes the file at a path anew, or writes to a stream, which stays open: process.stdout, for instance. Throws UsageError
 * where it cannot be written. Whoever gets the sink closes it; LoadedObject.run() does.
 */
export function openSink(
  destination: string | Writable,
  options: SinkOptions & { readonly format: "pcapng" },
): PcapngSink;
export function openSink(destination: string | Writable, options?: SinkOptions): RecordSink;
export function openSink(destination: string | Writable, options: SinkOptions = {}): RecordSink {
  const format = options.format ?? (typeof destination === "string" ? sinkFormatOf(destination) : "perf.data");
  if (format === "perf.data" && options.packets !== undefined)
    throw new UsageError("USAGE", "packets inside records are told apart in pcapng only");
  const target = openTarget(destination);
  return format === "pcapng" ? new PcapngSink(target, options) : new PerfDataSink(target);
}

/** The format that a file name asks for; throws UsageError where it says nothing. */
export function sinkFormatOf(path: string): SinkFormat {
  if (path.endsWith(".pcapng")) return "pcapng";
  if (path.endsWith(".data")) return "perf.data";
  throw new UsageError("USAGE", `the name of ${path} does not say what format it is to have`, {
    hint: `end it in .perf.data or .pcapng, or name the format: ${SINK_FORMATS.join(", ")}`,
  });
}
