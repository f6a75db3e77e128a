/**
 * The stack that chains of calls take together, and how deep they nest; only known when every function was explored.
 * Kernel: check_max_stack_depth().
 */
import { LIMITS } from "../../spec/limits.ts";
import type { ProgramTypeName } from "../../spec/program-types.ts";
import { isFunctionPointer, isKernelCall, isSubprogramCall } from "./cfg.ts";
import type { Env, Subprogram } from "./env.ts";
import { reject } from "./failure.ts";
import { kernelFunctionOf } from "./kernel-function.ts";

/** Frames are multiples of this. Kernel: round_up_stack_depth(), with a JIT. */
const FRAME_STEP = 16;
const roundUp = (bytes: number): number => Math.ceil(bytes / FRAME_STEP) * FRAME_STEP;

/** Tracing programs have a stack of their own for large frames, but not with tail calls. Kernel: bpf_enable_priv_stack(). */
const PRIVATE_STACK: ReadonlySet<ProgramTypeName> = new Set(["kprobe", "tracepoint", "perf_event", "raw_tracepoint"]);
/** Frames of this size on are large. Kernel: BPF_PRIV_STACK_MIN_SIZE */
const LARGE_FRAME = 64;

export function checkStackDepth(env: Env): void {
  const hasTailCall = env.subprograms.some((subprogram) => subprogram.hasTailCall);
  const hasPrivateStack = PRIVATE_STACK.has(env.program.type) && !hasTailCall;
  const walk: Walk = { env, hasPrivateStack, seen: new Set() };
  for (const [index, subprogram] of env.subprograms.entries()) {
    if (index === 0 || subprogram.isDeferred) visit(walk, { index, depth: 0, calls: 1, inCallback: false });
  }
}

interface Walk {
  readonly env: Env;
  readonly hasPrivateStack: boolean;
  /** chains that were followed, by all that matters of them: without it, calls that branch take exponential time */
  readonly seen: Set<string>;
}
/** A chain of calls that ends in subprogram `index`. */
interface Chain {
  readonly index: number;
  /** bytes of the frames above */
  readonly depth: number;
  readonly calls: number;
  /** a function above is a callback */
  readonly inCallback: boolean;
}

function visit(walk: Walk, chain: Chain): void {
  const key = `${chain.index} ${chain.depth} ${chain.calls} ${chain.inCallback}`;
  if (walk.seen.has(key)) return;
  walk.seen.add(key);
  const { env } = walk;
  const subprogram = env.subprograms[chain.index]!;
  const depth = checkedDepth(walk, chain, subprogram);
  const inCallback = chain.inCallback || subprogram.isCallback || subprogram.isDeferred;
  for (let slot = subprogram.start; slot < subprogram.end; slot++) {
    const insn = env.insns[slot]!;
    if (inCallback && isKernelCall(insn) && kernelFunctionOf(env, insn)?.name === "bpf_throw") {
      const where = `(insn ${slot}) cannot be called from callback subprog ${chain.index}`;
      reject(env, "EINVAL", `bpf_throw kfunc ${where}`);
    }
    if (!isSubprogramCall(insn) && !isFunctionPointer(insn)) continue;
    if (chain.calls >= LIMITS.callFrames) {
      reject(env, "E2BIG", `the call stack of ${chain.calls} frames is too deep !`);
    }
    const index = env.subprogramAt.get(slot + insn.imm + 1)!;
    if (env.subprograms[index]!.isDeferred) {
      if (env.subprograms[index]!.hasTailCall) reject(env, "EFAULT", "subprog has tail_call and async cb");
      // It runs on its own, unless it is called as well.
      if (!isSubprogramCall(insn)) continue;
    }
    if (index === env.exceptionCallback) reject(env, "EINVAL", `insn ${slot} cannot call exception cb directly`);
    visit(walk, { index, depth, calls: chain.calls + 1, inCallback });
  }
}

/** Bytes with the frame of the chain's last subprogram. */
function checkedDepth({ env, hasPrivateStack }: Walk, chain: Chain, subprogram: Subprogram): number {
  if (chain.index > 0 && subprogram.hasTailCall && chain.depth >= LIMITS.tailCallStackBytes) {
    reject(
      env,
      "EACCES",
      `tail_calls are not allowed when call stack of previous frames is ${chain.depth} bytes. Too large`,
    );
  }
  const bytes = roundUp(subprogram.stackBytes);
  if (hasPrivateStack && bytes >= LARGE_FRAME) {
    if (bytes > LIMITS.stackBytes) reject(env, "EACCES", `stack size of subprog ${chain.index} is ${bytes}. Too large`);
    return chain.depth;
  }
  const total = chain.depth + bytes;
  if (total > LIMITS.stackBytes) {
    reject(env, "EACCES", `combined stack size of ${chain.calls} calls is ${total}. Too large`);
  }
  return total;
}
