/** Event sources: readers of captures that other tools wrote, and where their bytes come from. */
export { parseFormat } from "./format.ts";
export { bytesInput, type CaptureInput, fileInput, streamInput } from "./input.ts";
export { compareLayout, requireLayout } from "./layout.ts";
export {
  type ChildStatus,
  functionTargetName,
  type LiveOptions,
  type LiveSource,
  openLive,
  USER_MEMORY_MODES,
  type UserMemoryMode,
  type UserReads,
} from "./live/index.ts";
export { openPerfData } from "./perf-data/index.ts";
export { type ProcTask, readTask } from "./proc.ts";
export { readTasks } from "./processes.ts";
export { tracefsFormats } from "./tracefs.ts";
