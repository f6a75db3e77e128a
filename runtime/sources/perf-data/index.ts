export { PERF_MAGIC } from "./header.ts";
export { openPerfData } from "./source.ts";
