export type { FireOptions, Hook } from "./hook.ts";
export type { GivenElement, Iteration, IterationOptions, IteratorOptions } from "./iter/index.ts";
export { KernelObject, KernelObjects, type KernelTypes, type KernelValue, type StrayRead } from "./kernel/index.ts";
export type { AttachOptions, Link, LinkInfo, RunCounts } from "./link.ts";
export * from "./maps/index.ts";
export type { MemoryAt } from "./memory.ts";
export { LinkedObject } from "./object.ts";
export type { HookArgument, Payload, RegisterValues } from "./payload.ts";
export { type CpuProfile, cpuProfile, foldedStacks } from "./profile/formats.ts";
export type {
  HelperProfile,
  LineProfile,
  Profile,
  ProfileFrame,
  ProfileStack,
  ProgramProfile,
} from "./profile/profile.ts";
export type { ProfileOptions, Profiler } from "./profile/profiler.ts";
export { LinkedProgram } from "./program.ts";
export type { PumpProgress, PumpSummary } from "./pump.ts";
export * from "./rings/index.ts";
export { createRuntime, Runtime, type RuntimeOptions } from "./runtime.ts";
export * from "./sinks/index.ts";
export type * from "./source.ts";
export * from "./sources/index.ts";
export type { EventStack } from "./stack.ts";
export type { TaskInfo } from "./task.ts";
export type { TestRunInput, TestRunResult } from "./test-run/context.ts";
export type { ArgumentValue, ArgumentValues, Tracepoint } from "./tracepoints.ts";
export { parseUsdtOperands, usdtSpec } from "./usdt.ts";
export {
  formatEntries,
  formatValue,
  hexDump,
  readValue,
  type StructView,
  type Value,
  viewOf,
  writeValue,
} from "./values/index.ts";
export { Crew, type CrewRun, type WorkerLoss } from "./workers/crew.ts";
