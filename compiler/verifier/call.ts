/** Calls: of helpers, of subprograms. Kernel: do_check(), BPF_CALL. */
import { CLASS, PSEUDO_CALL, SRC } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import { isKernelCall } from "./cfg.ts";
import type { Env } from "./env.ts";
import type { Step } from "./explore.ts";
import { reject } from "./failure.ts";
import { checkHelperCall } from "./helper-call.ts";
import { checkKernelCall } from "./kernel-call.ts";
import { kernelFunctionOf } from "./kernel-function.ts";
import { checkCallUnderLock } from "./locks.ts";
import { checkSubprogramCall } from "./subprogram-call.ts";

export function checkCall(env: Env, insn: Insn): Step {
  const known = insn.src === PSEUDO_CALL.HELPER || insn.src === PSEUDO_CALL.SUBPROG || insn.src === PSEUDO_CALL.KFUNC;
  if (
    insn.opcode & SRC.X ||
    (insn.src !== PSEUDO_CALL.KFUNC && insn.off !== 0) ||
    !known ||
    insn.dst !== 0 ||
    (insn.opcode & 7) === CLASS.JMP32
  ) {
    reject(env, "EINVAL", "BPF_CALL uses reserved fields");
  }
  const target = isKernelCall(insn) ? kernelFunctionOf(env, insn) : null;
  checkCallUnderLock(env, insn, target?.name ?? null);
  env.scratchRegister(0);
  if (isKernelCall(insn)) return checkKernelCall(env, insn);
  if (insn.src === PSEUDO_CALL.SUBPROG) checkSubprogramCall(env, insn);
  else return checkHelperCall(env, insn);
  return "next";
}
