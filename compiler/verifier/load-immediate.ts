/** The 64-bit immediate load: a number, a map, the address of a map's value, a function. Kernel: check_ld_imm(). */
import { PSEUDO_LD } from "../../spec/isa.ts";
import { type Insn, wideImmediate } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { lacksFunctionInfo } from "./function-info.ts";
import { kernelVariable } from "./kernel-variable.ts";
import { requireWritable } from "./operands.ts";
import { knownReg, pointerReg, REG, type RegState, UNKNOWN } from "./register.ts";

export function checkWideImmediate(env: Env, insn: Insn): void {
  if (insn.off !== 0) reject(env, "EINVAL", "BPF_LD_IMM64 uses reserved fields");
  requireWritable(env, insn.dst);
  env.setRegister(insn.dst, loaded(env, insn));
}

/** encoding.ts has checked the map's index and the offset into its value. */
function loaded(env: Env, insn: Insn): RegState {
  switch (insn.src) {
    case PSEUDO_LD.NONE:
      return knownReg(wideImmediate(env.insns, env.insnIndex));
    case PSEUDO_LD.BTF_ID:
      return kernelVariable(env, insn, env.insns[env.insnIndex + 1]!);
    case PSEUDO_LD.FUNC:
      return functionPointer(env, insn);
    case PSEUDO_LD.MAP_VALUE: {
      // User space's address of it: a number.
      if (env.maps[insn.imm]!.type === "arena") return UNKNOWN;
      const value = pointerReg(REG.MAP_VALUE);
      value.map = env.maps[insn.imm]!;
      value.off = env.insns[env.insnIndex + 1]!.imm;
      return value;
    }
    default: {
      const map = pointerReg(REG.MAP_PTR);
      map.map = env.maps[insn.imm]!;
      return map;
    }
  }
}

function functionPointer(env: Env, insn: Insn): RegState {
  const index = env.subprogramAt.get(env.insnIndex + insn.imm + 1)!;
  if (lacksFunctionInfo(env, env.subprograms[index]!)) reject(env, "EINVAL", "missing btf func_info");
  if (env.subprograms[index]!.linkage !== "static") reject(env, "EINVAL", "callback function not static");
  const pointer = pointerReg(REG.FUNC);
  pointer.subprogram = index;
  return pointer;
}
