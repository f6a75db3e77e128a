/** Event sources: readers of captures that other tools wrote, and where their bytes come from. */
export { type FormatField, parseFormat, type TracepointFormat } from "./format.ts";
export { bytesInput, type CaptureInput, fileInput, streamInput } from "./input.ts";
export { compareLayout, type LayoutDifference, requireLayout } from "./layout.ts";
export { openPerfData, type PerfDataOptions } from "./perf-data/index.ts";
export { tracefsFormats } from "./tracefs.ts";
