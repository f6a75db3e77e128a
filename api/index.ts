/** bpfjit: loads, verifies and runs clang's BPF objects. docs/embedding.md shows how. */

export type {
  CodePlace,
  Explanation,
  ExplanationLimit,
  ExplanationStep,
  LimitValue,
  SourceExcerpt,
  StepRole,
} from "../base/index.ts";
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
  VerifierError,
} from "../base/index.ts";
export type { Btf, ModuleBtf } from "../compiler/index.ts";
export {
  type ArgumentValue,
  type ArgumentValues,
  type AttachOptions,
  type BpfMap,
  bytesInput,
  type CaptureInput,
  type ChildStatus,
  type CpuProfile,
  cpuProfile,
  createRuntime,
  type EventSource,
  type EventStack,
  type FireOptions,
  fileInput,
  foldedStacks,
  formatEntries,
  formatValue,
  type GivenElement,
  type HelperProfile,
  type Hook,
  type HookArgument,
  hexDump,
  type Iteration,
  type IterationOptions,
  type IteratorOptions,
  KernelObject,
  type KernelValue,
  type LineProfile,
  type Link,
  type LinkedProgram,
  type LinkInfo,
  type LiveOptions,
  type LiveSource,
  type MemoryAt,
  openLive,
  openPerfData,
  openSink,
  type PacketLayout,
  type Payload,
  PcapngSink,
  PerfEventArrayMap,
  type ProcTask,
  type Profile,
  type ProfileFrame,
  type ProfileOptions,
  type Profiler,
  type ProfileStack,
  type ProgramProfile,
  type PumpProgress,
  type RecordSink,
  type RegisterValues,
  RingbufMap,
  type RunCounts,
  type Runtime,
  type RuntimeOptions,
  readSnapshot,
  readTask,
  readTasks,
  SINK_FORMATS,
  type SinkFormat,
  type SinkOptions,
  type SinkPacket,
  type StrayRead,
  type StructView,
  sinkFormatOf,
  streamInput,
  type TaskInfo,
  type TestRunInput,
  type TestRunResult,
  type Tracepoint,
  USER_MEMORY_MODES,
  type UserMemoryMode,
  type UserReads,
  type Value,
  type WorkerLoss,
} from "../runtime/index.ts";
export {
  FAULT_KINDS,
  FAULTS,
  type FaultKind,
  type FaultSpec,
  PERF_SAMPLE,
  type TracepointDefinition,
} from "../spec/index.ts";
export {
  type CompatOptions,
  type CompatProblem,
  compatObject,
  type ObjectCompat,
  type ProgramCompat,
} from "./compat.ts";
export { createExecutor, type ExecOutcome, type ExecRequest, type Executor } from "./exec.ts";
export { type ExplanationTextOptions, explanationText, type TextPart } from "./explain.ts";
export { type Kernel, kernelObjects } from "./kernel.ts";
export { type CompileOptions, compile, type LoadOptions, load } from "./load.ts";
export { type LookupOptions, TypedMap, type UpdateOptions } from "./map.ts";
export { LoadedObject, type RunOptions, type RunSummary } from "./object.ts";
export { type OpenLoadOptions, OpenObject, type OpenOptions, openObject } from "./open.ts";
export type { Variables } from "./open-data.ts";
export { OpenMap } from "./open-map.ts";
export { OpenProgram } from "./open-program.ts";
export { isPrebuilt, loadPrebuilt, type PrebuiltOptions } from "./prebuilt.ts";
export { type RecordInPlace, TypedReader } from "./reader.ts";
export { MapRecord, type RecordOptions } from "./records.ts";
export {
  type KernelTarget,
  readKernel,
  readKernels,
  readTargetBtf,
  type TargetOptions,
  type TracepointOptions,
  withTracepoints,
} from "./target.ts";
export type { Tier } from "./tiers/tiering.ts";
export { defineTracepoint, tracepointsOf } from "./tracepoint.ts";
export type { UprobeOptions } from "./uprobe.ts";
export type { UsdtOptions } from "./usdt.ts";
export { type ProgramVerdict, type VerifyOptions, verifyObject } from "./verify.ts";
export { TypedWriter, type WriterOptions } from "./writer.ts";
