/** The kernel's functions on dynptrs: calls of the library's functions of the same names. */
import { CTX, type LibraryName, type LoweredFunctionName, programType } from "../../spec/index.ts";
import type { Program } from "../program.ts";
import { pointerIn } from "./address.ts";
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";
import { taggedOrNull } from "./pointer.ts";

type DynptrFunctionName = Extract<LoweredFunctionName, `bpf_dynptr_${string}`>;

interface Signature {
  readonly params: readonly ("pointer" | "u32" | "u64")[];
  /** "u32": an int or bool, which the kernel's functions leave in the lower half of r0 */
  readonly result: "u32" | "pointer";
}

const SIGNATURES: Readonly<Record<DynptrFunctionName, Signature>> = {
  bpf_dynptr_slice: { params: ["pointer", "u32", "pointer", "u32"], result: "pointer" },
  bpf_dynptr_slice_rdwr: { params: ["pointer", "u32", "pointer", "u32"], result: "pointer" },
  bpf_dynptr_adjust: { params: ["pointer", "u32", "u32"], result: "u32" },
  bpf_dynptr_is_null: { params: ["pointer"], result: "u32" },
  bpf_dynptr_is_rdonly: { params: ["pointer"], result: "u32" },
  bpf_dynptr_size: { params: ["pointer"], result: "u32" },
  bpf_dynptr_clone: { params: ["pointer", "pointer"], result: "u32" },
  bpf_dynptr_copy: { params: ["pointer", "u32", "pointer", "u32", "u32"], result: "u32" },
  bpf_dynptr_memset: { params: ["pointer", "u32", "u32", "u32"], result: "u32" },
  bpf_dynptr_from_skb: { params: ["pointer", "u64", "pointer"], result: "u32" },
  bpf_dynptr_from_skb_meta: { params: ["pointer", "u64", "pointer"], result: "u32" },
  bpf_dynptr_from_xdp: { params: ["pointer", "u64", "pointer"], result: "u32" },
};

/** Programs whose packet is a kernel object, not their context, have nothing that the library could read. */
export function isRunnable(program: Program, name: LoweredFunctionName): boolean {
  if (name !== "bpf_dynptr_from_skb" && name !== "bpf_dynptr_from_skb_meta") return true;
  const { ctx } = programType(program.type);
  return ctx !== null && CTX[ctx].name === "__sk_buff";
}

function lowered(name: DynptrFunctionName): (body: Body) => Expr[] {
  const { params, result } = SIGNATURES[name];
  return (body) => {
    const { frame, unit, wasm } = body;
    const values = params.map((kind, index) => {
      const register = index + 1;
      if (kind === "u64") return frame.reg(register);
      return kind === "pointer" ? pointerIn(body, register) : frame.reg32(register);
    });
    const call = unit.library(libraryName(body.program, name), values);
    if (result === "pointer") return [frame.setReg(0, taggedOrNull(body, call, frame.temp(wasm.i32)))];
    return [frame.setReg32(0, call)];
  };
}

/** A program that may not write packets gets a dynptr that does not write either. */
function libraryName(program: Program, name: DynptrFunctionName): LibraryName {
  const mayWrite = programType(program.type).packetWrite;
  return name === "bpf_dynptr_from_skb" && !mayWrite ? "dynptr_from_skb_rdonly" : name;
}

export const DYNPTR_FUNCTIONS = Object.fromEntries(
  Object.keys(SIGNATURES).map((name) => [name, lowered(name as DynptrFunctionName)]),
) as Readonly<Record<DynptrFunctionName, (body: Body) => Expr[]>>;
