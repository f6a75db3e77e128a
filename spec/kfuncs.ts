/**
 * Functions that bpfjit gives programs beyond the kernel's helpers: one row each, found by name. A program declares them
 * `extern … __ksym` (bpfjit_helpers.h); weak, so that the same object loads in a kernel, which has none of them. A call is a
 * call of a kernel function in no kernel's BTF: `off` is OWN_KFUNC, `imm` the row's id. Columns as in helpers/row.ts.
 */
import { ANY64, type HelperSpec, MAP } from "./helpers/row.ts";
import { helperById, type NamedHelper } from "./helpers.ts";
import { PSEUDO_CALL } from "./isa.ts";

/** `off` of the call: BTF of modules is numbered from 0. */
export const OWN_KFUNC = -1;

const FOR_ALL = { gplOnly: false, audience: "all", home: "wasm", since: "bpfjit" } as const;

export const KFUNCS = [
  /** (map, size, flags) → `size` bytes in the perf buffer that the flags name, aligned to 4, or null */
  {
    id: 1,
    name: "bpf_perf_reserve",
    args: [MAP, { is: "constAllocSizeOrZero" }, ANY64],
    ret: "perfMemOrNull",
    ...FOR_ALL,
  },
  /** shows the record to the reader */
  { id: 2, name: "bpf_perf_commit", args: [{ is: "perfMem", release: true }], ret: "void", ...FOR_ALL },
  /** takes it back */
  { id: 3, name: "bpf_perf_discard", args: [{ is: "perfMem", release: true }], ret: "void", ...FOR_ALL },
] as const satisfies readonly HelperSpec[];

export type KfuncName = (typeof KFUNCS)[number]["name"];
export type NamedKfunc = HelperSpec & { readonly name: KfuncName };

export const kfuncByName = (name: string): NamedKfunc | undefined => KFUNCS.find((kfunc) => kfunc.name === name);
/** By the fields of a call of a kernel function. */
export const ownKfunc = (off: number, imm: number): NamedKfunc | undefined =>
  off === OWN_KFUNC ? KFUNCS.find((kfunc) => kfunc.id === imm) : undefined;

/** What a call that is of no subprogram calls, undefined for what is in no table. */
export type Callee = NamedHelper | NamedKfunc;
export function calleeOf(insn: {
  readonly src: number;
  readonly off: number;
  readonly imm: number;
}): Callee | undefined {
  if (insn.src === PSEUDO_CALL.HELPER) return helperById(insn.imm);
  return insn.src === PSEUDO_CALL.KFUNC ? ownKfunc(insn.off, insn.imm) : undefined;
}
