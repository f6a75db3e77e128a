/** Calls of subprograms: their body is explored with the caller's arguments. Kernel: check_func_call(), setup_func_entry(). */
import { LIMITS } from "../../spec/limits.ts";
import type { Insn } from "../asm/instruction.ts";
import { clearCallerSaved } from "./call-registers.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { stateText } from "./print.ts";
import { NOT_INIT, pointerReg, REG } from "./register.ts";
import { Frame, type State } from "./state.ts";

export function checkSubprogramCall(env: Env, insn: Insn): void {
  const subprogram = env.subprogramAt.get(env.insnIndex + insn.imm + 1)!;
  const caller = env.state.frame;
  const callee = enterFrame(env, env.state, env.insnIndex, subprogram);
  for (let r = 1; r <= LIMITS.callArguments; r++) callee.registers[r] = caller.registers[r]!;
  clearCallerSaved(env, caller);
  env.insnIndex = env.subprograms[subprogram]!.start;
  if (env.log.traces) {
    env.log.line(`caller:\n${stateText(env.state, caller)}\ncallee:\n${stateText(env.state, callee)}`);
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
