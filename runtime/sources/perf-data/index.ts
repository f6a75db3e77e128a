export { PERF_MAGIC } from "./header.ts";
export { openPerfData, type PerfDataOptions } from "./source.ts";
