/** The end of the program, of a subprogram or of a callback. Kernel: process_bpf_exit_full(), prepare_func_exit(). */

import { previousEntry } from "./checkpoint.ts";
import type { Env } from "./env.ts";
import type { Step } from "./explore.ts";
import { reject } from "./failure.ts";
import { requireReadable } from "./operands.ts";
import { requestPrecision } from "./precision.ts";
import { stateText } from "./print.ts";
import { checkNoLeak } from "./references.ts";
import { REG, type RegState, typeName } from "./register.ts";
import type { ReturnRange } from "./state.ts";
import { widenImprecise } from "./widen.ts";

export function checkExit(env: Env): Step {
  if (env.state.frames.length > 1) {
    env.stackLiveness.update(env.state);
    returnToCaller(env);
    return "returned";
  }
  checkNoLeak(env, "BPF_EXIT instruction in main prog");
  checkProgramResult(env, 0);
  return "ended";
}

/** `register` is what the program leaves behind: r0, or r1 of an exception that nothing handles. */
export function checkProgramResult(env: Env, register: number): void {
  const { isDeferred, subprogram } = env.state.frames[0]!;
  if (isDeferred) checkDeferredResult(env, register);
  else if (subprogram > 0 && subprogram !== env.exceptionCallback) checkGlobalResult(env, register);
  else checkResult(env, register);
}

/** Leaves the current frame; env.insnIndex is where the caller goes on. Kernel: prepare_func_exit(). */
export function returnToCaller(env: Env): void {
  const { state } = env;
  const callee = state.frame;
  const result = callee.registers[0]!;
  if (result.type === REG.STACK) reject(env, "EINVAL", "cannot return stack pointer to the caller");
  const caller = state.frames[state.frames.length - 2]!;
  if (callee.inCallback) checkCallbackResult(env, result, callee.callbackReturns);
  else caller.registers[0] = result;
  const to = callee.callSite + (callee.inCallback ? 0 : 1);
  if (env.log.traces) {
    env.log.line(
      `returning from callee:\n${stateText(state, callee)}\nto caller at ${to}:\n${stateText(state, caller)}`,
    );
  }
  state.frames.pop();
  env.insnIndex = to;
  if (!callee.inCallback) return;
  const previous = previousEntry(env, state, to);
  if (previous) widenImprecise(env, previous, state);
}

function checkCallbackResult(env: Env, result: RegState, range: ReturnRange): void {
  if (result.type !== REG.SCALAR) reject(env, "EACCES", "R0 not a scalar value");
  requestPrecision(env, 0);
  requireWithin(env, result, range, { when: "At callback return", register: 0 });
}

/** Kernel: check_return_code(). */
function checkResult(env: Env, register: number): void {
  const { hook } = env;
  // Who fills a function that returns nothing returns nothing.
  if (hook?.returns === 0 && (hook.kind === "member" || (hook.kind === "lsm" && hook.mayReturn === null))) return;
  requireReadable(env, register);
  const range = hook?.mayReturn === undefined ? rangeOfType(env) : hook.mayReturn;
  if (range === null) return;
  const result = env.register(register);
  if (result.type !== REG.SCALAR) {
    reject(env, "EINVAL", `At program exit the register R${register} is not a known value (${typeName(result.type)})`);
  }
  requestPrecision(env, register);
  const where = { when: "At program exit", register };
  if (hook?.kind === "lsm" && env.attachType === "lsm_mac") requireWithin32(env, result, range, where);
  else requireWithin(env, result, range, where);
}

function rangeOfType({ type, attachType }: Env): ReturnRange | null {
  const range = type.returnsAs?.[attachType ?? ""] ?? type.returns;
  return range === null ? null : { min: range[0], max: range[1] };
}

/** A security hook returns an int: its upper half does not count. */
function requireWithin32(env: Env, result: RegState, range: ReturnRange, where: ResultPlace): void {
  const { s32min, s32max } = result.value;
  if (s32min < range.min || s32max > range.max) requireWithin(env, result, range, where);
}

/** A callback that runs later. */
function checkDeferredResult(env: Env, register: number): void {
  requireReadable(env, register);
  const result = env.register(register);
  if (result.type !== REG.SCALAR) {
    reject(
      env,
      "EINVAL",
      `At async callback return the register R${register} is not a known value (${typeName(result.type)})`,
    );
  }
  requestPrecision(env, register);
  requireWithin(env, result, env.state.frame.callbackReturns, { when: "At async callback return", register });
}

/** A global function verified on its own. Kernel: check_global_subprog_return_code(). */
function checkGlobalResult(env: Env, register: number): void {
  requireReadable(env, register);
  const result = env.register(register);
  if (result.type === REG.SCALAR) return;
  reject(
    env,
    "EINVAL",
    `At subprogram exit the register R${register} is not a scalar value (${typeName(result.type)})`,
  );
}

const S64_MIN = -(1n << 63n);
const S64_MAX = (1n << 63n) - 1n;

/** For the message. */
interface ResultPlace {
  readonly when: string;
  readonly register: number;
}

function requireWithin(env: Env, result: RegState, range: ReturnRange, { when, register }: ResultPlace): void {
  const { smin, smax } = result.value;
  if (smin >= BigInt(range.min) && smax <= BigInt(range.max)) return;
  let known = "";
  if (smin > S64_MIN) known += ` smin=${smin}`;
  if (smax < S64_MAX) known += ` smax=${smax}`;
  if (known === "") known = " unknown scalar value";
  reject(
    env,
    "EINVAL",
    `${when} the register R${register} has${known} should have been in [${range.min}, ${range.max}]`,
  );
}
