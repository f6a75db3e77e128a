/** Calls of subprograms: their body is explored with the caller's arguments. Kernel: check_func_call(), setup_func_entry(). */
import type { ErrnoName } from "../../spec/errno.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { Insn } from "../asm/instruction.ts";
import { clearCallerSaved } from "./call-registers.ts";
import { requireUnmodified } from "./ctx.ts";
import { checkDynptr } from "./dynptr.ts";
import type { Env } from "./env.ts";
import { Rejection, reject } from "./failure.ts";
import { requireTrustedStruct } from "./helper-btf.ts";
import { checkHelperMemory } from "./helper-memory.ts";
import { notNull } from "./nullness.ts";
import { forgetPackets } from "./packet.ts";
import { stateText } from "./print.ts";
import { type Parameter, parametersOf } from "./prototype.ts";
import { baseType, mayBeNull, NOT_INIT, pointerReg, REG, type RegState, UNKNOWN } from "./register.ts";
import { isZero } from "./scalar.ts";
import { refuseGlobalInSection } from "./sections.ts";
import { Frame, type State } from "./state.ts";

export function checkSubprogramCall(env: Env, insn: Insn): void {
  const subprogram = env.subprogramAt.get(env.insnIndex + insn.imm + 1)!;
  const parameters = parametersForCall(env, subprogram);
  if (parameters !== null) {
    callGlobal(env, subprogram, parameters);
    return;
  }
  const caller = env.state.frame;
  const callee = enterFrame(env, env.state, env.insnIndex, subprogram);
  for (let r = 1; r <= LIMITS.callArguments; r++) callee.registers[r] = caller.registers[r]!;
  clearCallerSaved(env, caller);
  env.insnIndex = env.subprograms[subprogram]!.start;
  if (env.log.traces) {
    env.log.line(`caller:\n${stateText(env.state, caller)}\ncallee:\n${stateText(env.state, callee)}`);
  }
}

/** A prototype that no call fits is a fault of the call, and has an errno. */
function parametersForCall(env: Env, index: number): readonly Parameter[] | ErrnoName | null {
  try {
    return parametersOf(env, env.subprograms[index]!);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    return error.errno;
  }
}

function refuseCall(env: Env, index: number, errno: ErrnoName): never {
  return reject(env, errno, `Caller passes invalid args into func#${index} ('${env.subprograms[index]!.name}')`);
}

/** A global function is verified on its own: here only its arguments matter, and its result may be anything. */
function callGlobal(env: Env, index: number, parameters: readonly Parameter[] | ErrnoName): void {
  const callee = env.subprograms[index]!;
  if (env.state.locks > 0) {
    const advice = "use static function instead";
    reject(env, "EINVAL", "global function calls are not allowed while holding a lock,", advice);
  }
  if (callee.mightSleep) refuseGlobalInSection(env);
  if (typeof parameters === "string") refuseCall(env, index, parameters);
  for (const [i, parameter] of parameters.entries()) {
    try {
      checkPassed(env, i, parameter);
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      refuseCall(env, index, error.errno);
    }
  }
  if (env.log.traces) env.log.line(`Func#${index} ('${callee.name}') is global and assumed valid.`);
  if (callee.changesPacket) forgetPackets(env.state);
  callee.called = true;
  clearCallerSaved(env);
  env.setRegister(0, UNKNOWN);
  env.insnIndex++;
}

/** Pointers that may point anywhere into what they are of. */
const MOVABLE: readonly number[] = [
  REG.SCALAR,
  REG.STACK,
  REG.PACKET,
  REG.PACKET_META,
  REG.MAP_KEY,
  REG.MAP_VALUE,
  REG.MEM,
  REG.BUF,
  REG.BTF,
  REG.ARENA,
];

/** Kernel: check_func_arg_reg_off(). */
function requireOffset(env: Env, register: number, reg: RegState): void {
  if (!MOVABLE.includes(baseType(reg.type))) requireUnmodified(env, register, reg);
}

/** Kernel: btf_check_func_arg_match(). */
function checkPassed(env: Env, index: number, parameter: Parameter): void {
  const register = index + 1;
  const reg = env.register(register);
  switch (parameter.kind) {
    case "scalar":
      if (reg.type !== REG.SCALAR) reject(env, "EINVAL", `R${register} is not a scalar`);
      return;
    case "ctx":
      requireOffset(env, register, reg);
      if (reg.type !== REG.CTX) reject(env, "EINVAL", `arg#${index} expects pointer to ctx`);
      return;
    case "dynptr":
      requireOffset(env, register, reg);
      checkDynptr(env, register, "any", "read");
      return;
    case "memory":
      requireOffset(env, register, reg);
      try {
        checkPassedMemory(env, register, reg, parameter);
      } catch (error) {
        throw error instanceof Rejection ? new Rejection("EINVAL", error.message) : error;
      }
      return;
    case "trusted":
      if (!parameter.mayBeNull || reg.type !== REG.SCALAR || !isZero(reg.value)) {
        requireTrustedStruct(env, register, parameter);
      }
      return;
    case "untrusted":
      return;
    case "arena":
      if (reg.type !== REG.ARENA && reg.type !== REG.SCALAR) {
        reject(env, "EINVAL", `R${register} is not a pointer to arena or scalar.`);
      }
  }
}

function checkPassedMemory(
  env: Env,
  register: number,
  reg: RegState,
  parameter: Extract<Parameter, { kind: "memory" }>,
): void {
  const isNull = reg.type === REG.SCALAR && isZero(reg.value);
  if (!isNull) {
    env.registers[register] = mayBeNull(reg.type) ? notNull(reg) : reg;
    checkHelperMemory(env, null, register, parameter.bytes, { writes: false, zeroAllowed: true });
    checkHelperMemory(env, null, register, parameter.bytes, { writes: true, zeroAllowed: true });
    env.registers[register] = reg;
  }
  if (!parameter.mayBeNull && (isNull || mayBeNull(reg.type))) {
    reject(env, "EINVAL", `arg#${register - 1} is expected to be non-NULL`);
  }
}

/** Adds a frame to `state`, its registers but the frame pointer not set. */
export function enterFrame(env: Env, state: State, callSite: number, subprogram: number): Frame {
  const index = state.frames.length;
  if (index >= LIMITS.callFrames) reject(env, "E2BIG", `the call stack of ${index + 1} frames is too deep`);
  const frame = newFrame(callSite, index, subprogram);
  state.frames.push(frame);
  env.allScratched = true;
  return frame;
}

export function newFrame(callSite: number, index: number, subprogram: number): Frame {
  const registers = Array.from({ length: 10 }, () => NOT_INIT);
  const framePointer = pointerReg(REG.STACK);
  framePointer.frame = index;
  return new Frame(callSite, index, subprogram, [...registers, framePointer], []);
}
