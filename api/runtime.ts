/**
 * bpfjit/runtime: runs objects that were compiled ahead of time (`bpfjit build`), without the compiler: no binaryen is loaded,
 * and a program starts in milliseconds. docs/embedding.md shows how.
 */
export {
  AttachError,
  BpfError,
  BugError,
  CaptureError,
  FaultError,
  MapError,
  ObjectError,
  UnsupportedError,
  UsageError,
} from "../base/index.ts";
export * from "../runtime/index.ts";
export type { TracepointDefinition } from "../spec/index.ts";
export { TypedMap, type UpdateOptions } from "./map.ts";
export { LoadedObject, type RunOptions, type RunSummary } from "./object.ts";
export { loadPrebuilt, type PrebuiltOptions } from "./prebuilt.ts";
export { type RecordInPlace, TypedReader } from "./reader.ts";
export { MapRecord, type RecordOptions } from "./records.ts";
export type { Tier } from "./tiers/tiering.ts";
export { defineTracepoint, tracepointsOf } from "./tracepoint.ts";
