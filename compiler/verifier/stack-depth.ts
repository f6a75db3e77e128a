/**
 * The stack that chains of calls take together, and how deep they nest; only known when every function was explored.
 * Kernel: check_max_stack_depth().
 */
import { LIMITS } from "../../spec/limits.ts";
import type { ProgramTypeName } from "../../spec/program-types.ts";
import { isFunctionPointer, isSubprogramCall } from "./cfg.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";

/** Frames are multiples of this. Kernel: round_up_stack_depth(), with a JIT. */
const FRAME_STEP = 16;
const roundUp = (bytes: number): number => Math.ceil(bytes / FRAME_STEP) * FRAME_STEP;

/** Tracing programs have a stack of their own for large frames, but not with tail calls. Kernel: bpf_enable_priv_stack(). */
const PRIVATE_STACK: ReadonlySet<ProgramTypeName> = new Set(["kprobe", "tracepoint", "perf_event", "raw_tracepoint"]);
/** Frames of this size on are large. Kernel: BPF_PRIV_STACK_MIN_SIZE */
const LARGE_FRAME = 64;

export function checkStackDepth(env: Env): void {
  const hasTailCall = env.subprograms.some((subprogram) => subprogram.hasTailCall);
  visit(env, PRIVATE_STACK.has(env.program.type) && !hasTailCall, 0, 0, []);
}

/** `depth`: bytes of the frames above; `callers`: indices of the subprograms on the way. */
function visit(env: Env, hasPrivateStack: boolean, index: number, depth: number, callers: readonly number[]): void {
  const subprogram = env.subprograms[index]!;
  const chain = [...callers, index];
  if (subprogram.hasLegacyPacketAccess && chain.some((at) => env.subprograms[at]!.isCallback)) {
    reject(env, "EINVAL", "cannot use BPF_LD_[ABS|IND] within callback");
  }
  if (index > 0 && subprogram.hasTailCall && depth >= LIMITS.tailCallStackBytes) {
    reject(env, "EACCES", `tail_calls are not allowed when call stack of previous frames is ${depth} bytes. Too large`);
  }
  const bytes = roundUp(subprogram.stackBytes);
  const isPrivate = hasPrivateStack && bytes >= LARGE_FRAME;
  if (isPrivate && bytes > LIMITS.stackBytes) {
    reject(env, "EACCES", `stack size of subprog ${index} is ${bytes}. Too large`);
  }
  const total = depth + (isPrivate ? 0 : bytes);
  if (total > LIMITS.stackBytes) {
    reject(env, "EACCES", `combined stack size of ${chain.length} calls is ${total}. Too large`);
  }
  for (let slot = subprogram.start; slot < subprogram.end; slot++) {
    const insn = env.insns[slot]!;
    if (!isSubprogramCall(insn) && !isFunctionPointer(insn)) continue;
    if (chain.length >= LIMITS.callFrames) {
      reject(env, "E2BIG", `the call stack of ${chain.length} frames is too deep !`);
    }
    visit(env, hasPrivateStack, env.subprogramAt.get(slot + insn.imm + 1)!, total, chain);
  }
}
