/**
 * The stack that chains of calls take together, and how deep they nest; only known when every function was explored.
 * Kernel: check_max_stack_depth().
 */
import { LIMITS } from "../../spec/limits.ts";
import { isFunctionPointer, isSubprogramCall } from "./cfg.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";

/** A frame takes at least one byte, and a multiple of this. Kernel: round_up_stack_depth(), with a JIT. */
const FRAME_STEP = 16;
const roundUp = (bytes: number): number => Math.ceil(Math.max(bytes, 1) / FRAME_STEP) * FRAME_STEP;

export function checkStackDepth(env: Env): void {
  visit(env, 0, 0, []);
}

/** `depth`: bytes of the frames above; `callers`: indices of the subprograms on the way. */
function visit(env: Env, index: number, depth: number, callers: readonly number[]): void {
  const subprogram = env.subprograms[index]!;
  const chain = [...callers, index];
  if (subprogram.hasLegacyPacketAccess && chain.some((at) => env.subprograms[at]!.isCallback)) {
    reject(env, "EINVAL", "cannot use BPF_LD_[ABS|IND] within callback");
  }
  if (index > 0 && subprogram.hasTailCall && depth >= LIMITS.tailCallStackBytes) {
    reject(env, "EACCES", `tail_calls are not allowed when call stack of previous frames is ${depth} bytes. Too large`);
  }
  const total = depth + roundUp(subprogram.stackBytes);
  if (total > LIMITS.stackBytes) {
    reject(env, "EACCES", `combined stack size of ${chain.length} calls is ${total}. Too large`);
  }
  for (let slot = subprogram.start; slot < subprogram.end; slot++) {
    const insn = env.insns[slot]!;
    if (!isSubprogramCall(insn) && !isFunctionPointer(insn)) continue;
    if (chain.length >= LIMITS.callFrames) {
      reject(env, "E2BIG", `the call stack of ${chain.length} frames is too deep !`);
    }
    visit(env, env.subprogramAt.get(slot + insn.imm + 1)!, total, chain);
  }
}
