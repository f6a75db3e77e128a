export { Btf } from "./btf/btf.ts";
export type { Edits, MapEdit, ProgramEdit } from "./edits.ts";
export { type BpfObject, type ProgramOutcome, type ReadOptions, readBtf, readObject } from "./read.ts";
export { configVersion, findKernelVersion, type ModuleBtf, type SymbolAddresses } from "./target.ts";
