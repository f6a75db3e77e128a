export { Btf } from "./btf/btf.ts";
export { type BpfObject, type ProgramOutcome, readBtf, readObject } from "./read.ts";
