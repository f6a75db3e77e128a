/** One instruction of the way back: what must be precise before it, given what must be after. Kernel: backtrack_insn(). */

import { ALU, ATOMIC, CLASS, JMP, MODE, PSEUDO_CALL, SRC } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import { type Insn, isWideImmediate } from "../asm/instruction.ts";
import { isSubprogramCall, TAIL_CALL } from "./cfg.ts";
import { type Demand, demandText } from "./demand.ts";
import { insnText } from "./disassembly.ts";
import type { Env } from "./env.ts";
import { kernelBug } from "./failure.ts";
import { HISTORY, type HistoryEntry, type Place } from "./state.ts";

const FRAME_POINTER = 10;
const ARGUMENTS = 0b111110;

/**
 * `subsequent` is the instruction that came next on the path. False where the way back cannot be followed, so that
 * everything must count as precise.
 */
export function backtrackInsn(
  env: Env,
  demand: Demand,
  index: number,
  subsequent: number,
  entry: HistoryEntry | null,
): boolean {
  const insn = env.insns[index]!;
  if (insn.opcode === 0) return true;
  if (env.log.tracesAll) {
    const demands = demandText(demand, demand.frame);
    env.log.line(`mark_precise: frame${demand.frame}: ${demands} before ${index}: ${insnText(env, index)}`);
  }
  syncLinkedDemand(demand, entry);
  const followed = followInsn(env, demand, insn, index, subsequent, entry);
  if (followed === "done") syncLinkedDemand(demand, entry);
  return followed !== "lost";
}

/** "left": the path went into or out of a call, so links of this instruction say nothing any more. */
type Followed = "done" | "left" | "lost";

function followInsn(
  env: Env,
  demand: Demand,
  insn: Insn,
  index: number,
  subsequent: number,
  entry: HistoryEntry | null,
): Followed {
  switch (insn.opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64:
      followAlu(demand, insn);
      return "done";
    case CLASS.LDX:
      followLoad(demand, insn.dst, entry);
      return "done";
    case CLASS.STX:
      if (isLoad(insn, entry)) {
        followLoad(demand, loadedByAtomic(insn), entry);
        return "done";
      }
      return followStore(demand, insn, entry);
    case CLASS.ST:
      return followStore(demand, insn, entry);
    case CLASS.LD:
      return followWideLoad(env, demand, insn, index, subsequent);
    default:
      return followJump(env, demand, insn, index, subsequent, entry);
  }
}

/**
 * Atomic operations that what they load is followed through: to Linux 6.18 what they fetch is still what the register held
 * before, which asks for more than it must, but on the stack, where it would lose the way.
 */
function isLoad(insn: Insn, entry: HistoryEntry | null): boolean {
  if ((insn.opcode & 0xe0) !== MODE.ATOMIC) return false;
  if (insn.imm === ATOMIC.LOAD_ACQ) return true;
  return (insn.imm & ATOMIC.FETCH) !== 0 && entry !== null && (entry.flags & HISTORY.STACK_ACCESS) !== 0;
}

/** The register that an atomic operation loads the old value into. */
export function loadedByAtomic(insn: Insn): number {
  if (insn.imm === ATOMIC.CMPXCHG) return 0;
  return insn.imm === ATOMIC.LOAD_ACQ ? insn.dst : insn.src;
}

function followAlu(demand: Demand, insn: Insn): void {
  if (!demand.hasRegister(insn.dst)) return;
  const operation = insn.opcode & 0xf0;
  if (operation === ALU.END || operation === ALU.NEG) return;
  if (operation === ALU.MOV) demand.clearRegister(insn.dst);
  if (insn.opcode & SRC.X && insn.src !== FRAME_POINTER) demand.setRegister(insn.src);
}

function followLoad(demand: Demand, loaded: number, entry: HistoryEntry | null): void {
  if (!demand.hasRegister(loaded)) return;
  demand.clearRegister(loaded);
  // From any other memory the value is unknown, whatever the path.
  if (entry && entry.flags & HISTORY.STACK_ACCESS) demand.setSlot(entry.slot, entry.frame);
}

function followStore(demand: Demand, insn: Insn, entry: HistoryEntry | null): Followed {
  // A scalar as address: pointers were subtracted.
  if (demand.hasRegister(insn.dst)) return "lost";
  if (!entry || !(entry.flags & HISTORY.STACK_ACCESS) || !demand.hasSlot(entry.slot, entry.frame)) return "done";
  demand.clearSlot(entry.slot, entry.frame);
  if ((insn.opcode & 7) === CLASS.STX) demand.setRegister(insn.src);
  return "done";
}

function followWideLoad(env: Env, demand: Demand, insn: Insn, index: number, subsequent: number): Followed {
  if (isWideImmediate(insn)) {
    demand.clearRegister(insn.dst);
    return "left";
  }
  if (demand.hasRegister(insn.dst)) return "lost";
  // A failed packet load returns from the function.
  if (subsequent !== index + 1) enterFrame(env, demand);
  return "left";
}

function followJump(
  env: Env,
  demand: Demand,
  insn: Insn,
  index: number,
  subsequent: number,
  entry: HistoryEntry | null,
): Followed {
  switch (insn.opcode & 0xf0) {
    case JMP.CALL:
      return followCall(env, demand, insn, index, subsequent);
    case JMP.EXIT:
      followExit(env, demand, subsequent);
      return "left";
    case JMP.JA:
    case JMP.JCOND:
      return "done";
    default:
      if (!(insn.opcode & SRC.X)) return "done";
      if (!demand.hasRegister(insn.dst) && !demand.hasRegister(insn.src)) return "left";
      if (!entry || !(entry.flags & HISTORY.SOURCE_IS_STACK)) demand.setRegister(insn.src);
      if (!entry || !(entry.flags & HISTORY.DESTINATION_IS_STACK)) demand.setRegister(insn.dst);
      return "done";
  }
}

function followCall(env: Env, demand: Demand, insn: Insn, index: number, subsequent: number): Followed {
  if (insn.src === PSEUDO_CALL.SUBPROG) {
    const callee = env.subprograms[env.subprogramAt.get(index + 1 + insn.imm)!]!;
    if (subsequent === index + 1 && callee.start !== index + 1) {
      // A global function was assumed valid: its result is unknown.
      demand.clearRegister(0);
      requireNoArguments(env, demand, "global subprog unexpected regs");
      return "left";
    }
    leaveCallee(env, demand, true);
    return "left";
  }
  if (env.notes.callsCallback[index] && subsequent !== index + 1) {
    leaveCallee(env, demand, false);
    return "left";
  }
  if (insn.src === PSEUDO_CALL.KFUNC && insn.imm === 0) return "lost";
  demand.clearRegister(0);
  requireNoArguments(env, demand, "backtracking call unexpected regs");
  if (insn.imm === TAIL_CALL && insn.src === PSEUDO_CALL.HELPER && subsequent !== index + 1) enterFrame(env, demand);
  return "left";
}

/** Who wrote r1 … r5 before a call must have been found behind it. */
function requireNoArguments(env: Env, demand: Demand, problem: string): void {
  const mask = demand.registerMask();
  if (mask & ARGUMENTS) kernelBug(env, `${problem} ${mask.toString(16)}`);
}

/** Back from the first instruction of a subprogram or callback to the call. */
function leaveCallee(env: Env, demand: Demand, passesArguments: boolean): void {
  const what = passesArguments ? "static subprog" : "callback";
  const mask = demand.registerMask();
  if (mask & ~ARGUMENTS) kernelBug(env, `${what} unexpected regs ${mask.toString(16)}`);
  if (demand.hasSlots()) kernelBug(env, `${what} leftover stack slots ${demand.slotMask().toString(16)}`);
  if (demand.frame === 0) kernelBug(env, "subprog exit from frame 0");
  for (let r = 1; r <= 5; r++) {
    if (!demand.hasRegister(r)) continue;
    demand.clearRegister(r);
    if (passesArguments) demand.setRegister(r, demand.frame - 1);
  }
  demand.frame--;
}

/** From behind a call back into the function that returned. The result of a callback is not passed on. */
function followExit(env: Env, demand: Demand, subsequent: number): void {
  const call = subsequent >= 1 ? env.insns[subsequent - 1]! : null;
  const fromSubprogram = call !== null && isSubprogramCall(call);
  const wantsResult = fromSubprogram && demand.hasRegister(0);
  // What the call of a callback wants of its own arguments was found before the callback began.
  if (subsequent >= 0 && env.notes.callsCallback[subsequent]) {
    for (let r = 1; r <= 5; r++) demand.clearRegister(r);
  }
  requireNoArguments(env, demand, "backtracking exit unexpected regs");
  demand.clearRegister(0);
  enterFrame(env, demand);
  if (wantsResult) demand.setRegister(0);
}

function enterFrame(env: Env, demand: Demand): void {
  if (demand.frame === LIMITS.callFrames - 1) kernelBug(env, `subprog enter from frame ${demand.frame}`);
  demand.frame++;
}

/** A demand for one of the registers that the instruction found linked is one for all. */
function syncLinkedDemand(demand: Demand, entry: HistoryEntry | null): void {
  if (!entry?.linked) return;
  const has = (place: Place): boolean =>
    place.inRegister ? demand.hasRegister(place.index, place.frame) : demand.hasSlot(place.index, place.frame);
  if (!entry.linked.some(has)) return;
  for (const place of entry.linked) {
    if (place.inRegister) demand.setRegister(place.index, place.frame);
    else demand.setSlot(place.index, place.frame);
  }
}
