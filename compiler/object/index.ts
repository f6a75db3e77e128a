export { Btf } from "./btf/btf.ts";
export type { BtfKind, BtfType } from "./btf/types.ts";
export {
  type BpfObject,
  type ObjectSection,
  type ProgramOutcome,
  type ReadOptions,
  readBtf,
  readObject,
} from "./read.ts";
