export { Btf } from "./btf/btf.ts";
export { findOwnTracepoint, findTracepoint } from "./btf/raw-tracepoints.ts";
export { tracepointBtf } from "./btf/tracepoints.ts";
export { type Edits, editMap, type MapEdit, type ProgramEdit } from "./edits.ts";
export { reachedInsns } from "./reach.ts";
export { type BpfObject, type ProgramOutcome, type ReadOptions, readBtf, readObject } from "./read.ts";
export {
  DEFAULT_KERNEL_VERSION,
  findKernelVersion,
  kernelVersionCode,
  type ModuleBtf,
  type SymbolAddresses,
} from "./target.ts";
