/**
 * The shape of the program before anything is explored: where subprograms begin, that no jump leaves its subprogram,
 * that every instruction is reachable; and where states are to be compared (prune points) and arrivals remembered.
 * Kernel: add_subprog_and_kfunc(), check_subprogs(), check_cfg().
 */
import { helperById } from "../../spec/helpers.ts";
import { CLASS, JMP, MODE, PSEUDO_CALL, PSEUDO_LD, SRC } from "../../spec/isa.ts";
import { ownKfunc } from "../../spec/kfuncs.ts";
import { LIMITS } from "../../spec/limits.ts";
import { type Insn, isWideImmediate } from "../asm/instruction.ts";
import type { Env, Subprogram } from "./env.ts";
import { findExceptionCallback } from "./exception-callback.ts";
import { reject, unsupported } from "./failure.ts";
import { declareKernelFunction, hasFlag, kernelFunctionOf } from "./kernel-function.ts";

export const TAIL_CALL = 12;
const TIMER_SET_CALLBACK = 170;
/** Functions that set a callback which runs later. Kernel: is_async_callback_calling_kfunc() */
const SETS_CALLBACK: ReadonlySet<string> = new Set([
  "bpf_wq_set_callback_impl",
  "bpf_task_work_schedule_signal_impl",
  "bpf_task_work_schedule_resume_impl",
]);

const isCall = (insn: Insn): boolean => insn.opcode === (CLASS.JMP | JMP.CALL);
export const isSubprogramCall = (insn: Insn): boolean => isCall(insn) && insn.src === PSEUDO_CALL.SUBPROG;
export const isHelperCall = (insn: Insn): boolean => isCall(insn) && insn.src === PSEUDO_CALL.HELPER;
/** Of a function of the kernel's own. */
export const isKernelCall = (insn: Insn): boolean =>
  isCall(insn) && insn.src === PSEUDO_CALL.KFUNC && !ownKfunc(insn.off, insn.imm);
export const isFunctionPointer = (insn: Insn): boolean => isWideImmediate(insn) && insn.src === PSEUDO_LD.FUNC;
export const isLegacyPacketAccess = (insn: Insn): boolean =>
  (insn.opcode & 7) === CLASS.LD && ((insn.opcode & 0xe0) === MODE.ABS || (insn.opcode & 0xe0) === MODE.IND);
/** Kernel: is_sync_callback_calling_insn(). */
export const callsCallback = (insn: Insn): boolean =>
  isHelperCall(insn) &&
  insn.imm !== TIMER_SET_CALLBACK &&
  (helperById(insn.imm)?.args.some((arg) => arg.is === "func") ?? false);
const isJumpClass = (insn: Insn): boolean => (insn.opcode & 7) === CLASS.JMP || (insn.opcode & 7) === CLASS.JMP32;

/** Distance of an unconditional jump, in slots from the next one. */
export const jumpDistance = (insn: Insn): number => ((insn.opcode & 7) === CLASS.JMP ? insn.off : insn.imm);

/** Fills env.subprograms. */
export function findSubprograms(env: Env): void {
  const starts = [0];
  for (let i = 0; i < env.insns.length; i++) {
    const insn = env.insns[i]!;
    if (isKernelCall(insn)) declareKernelFunction(env, insn);
    if (!isFunctionPointer(insn) && !isSubprogramCall(insn)) continue;
    const start = i + insn.imm + 1;
    if (start >= env.insns.length || start < 0) reject(env, "EINVAL", "call to invalid destination");
    if (starts.includes(start)) continue;
    if (starts.length >= LIMITS.subprograms) reject(env, "E2BIG", "too many subprograms");
    starts.push(start);
  }
  const exceptionCallback = findExceptionCallback(env);
  if (exceptionCallback !== null && !starts.includes(exceptionCallback)) starts.push(exceptionCallback);
  starts.sort((a, b) => a - b);
  env.exceptionCallback = exceptionCallback === null ? -1 : starts.indexOf(exceptionCallback);
  env.subprograms = starts.map((start, index) => makeSubprogram(env, start, starts[index + 1] ?? env.insns.length));
  for (const [index, start] of starts.entries()) env.subprogramAt.set(start, index);
  const handler = env.subprograms[env.exceptionCallback];
  if (handler) handler.isCallback = handler.isDeferred = true;
  if (env.log.tracesAll) for (const [index, start] of starts.entries()) env.log.line(`func#${index} @${start}`);
}

function makeSubprogram(env: Env, start: number, end: number): Subprogram {
  const functionIndex = env.program.functions.findIndex((known) => known.insnIndex === start);
  const known = env.program.functions[functionIndex];
  return {
    start,
    end,
    name: known?.name ?? "",
    linkage: start === 0 ? "global" : (known?.linkage ?? "static"),
    functionIndex,
    stackBytes: 0,
    isCallback: false,
    isDeferred: false,
    hasTailCall: false,
    hasLegacyPacketAccess: false,
    changesPacket: false,
    mightSleep: false,
    called: false,
  };
}

/** No jump leaves its subprogram, and none falls off its end. Kernel: check_subprogs(). */
export function checkSubprograms(env: Env): void {
  let current = 0;
  for (let i = 0; i < env.insns.length; i++) {
    const subprogram = env.subprograms[current]!;
    const insn = env.insns[i]!;
    const operation = insn.opcode & 0xf0;
    if (isHelperCall(insn) && insn.imm === TAIL_CALL) subprogram.hasTailCall = true;
    if (isLegacyPacketAccess(insn)) subprogram.hasLegacyPacketAccess = true;
    if (isJumpClass(insn) && operation !== JMP.EXIT && operation !== JMP.CALL) {
      const target = i + 1 + (insn.opcode === (CLASS.JMP32 | JMP.JA) ? insn.imm : insn.off);
      if (target < subprogram.start || target >= subprogram.end) {
        reject(env, "EINVAL", `jump out of range from insn ${i} to ${target}`);
      }
    }
    if (i !== subprogram.end - 1) continue;
    const ends: readonly number[] = [CLASS.JMP | JMP.EXIT, CLASS.JMP32 | JMP.JA, CLASS.JMP | JMP.JA];
    if (!ends.includes(insn.opcode)) reject(env, "EINVAL", "last insn is not an exit or jmp");
    current++;
  }
}

const DISCOVERED = 0x10;
const EXPLORED = 0x20;
const FALLTHROUGH = 1;
const BRANCH = 2;

/** Depth-first walk over the instructions, in the kernel's order. Kernel: check_cfg(). */
export function checkControlFlow(env: Env): void {
  const walk = new Walk(env);
  walk.run(0);
  // Nothing calls it.
  if (env.exceptionCallback > 0) walk.run(env.subprograms[env.exceptionCallback]!.start);
  for (let i = 0; i < env.insns.length; i++) {
    if (walk.marks[i] !== EXPLORED) reject(env, "EINVAL", `unreachable insn ${i}`);
    if (!isWideImmediate(env.insns[i]!)) continue;
    if (walk.marks[i + 1] !== 0) reject(env, "EINVAL", `jump into the middle of ldimm64 insn ${i}`);
    i++;
  }
}

class Walk {
  readonly env: Env;
  readonly marks: Uint8Array;
  readonly stack: number[] = [];

  constructor(env: Env) {
    this.env = env;
    this.marks = new Uint8Array(env.insns.length);
  }

  run(start: number): void {
    if (this.marks[start] === EXPLORED) return;
    this.marks[start] = DISCOVERED;
    this.stack.push(start);
    while (this.stack.length > 0) {
      const slot = this.stack.at(-1)!;
      if (this.visit(slot)) continue;
      this.marks[slot] = EXPLORED;
      this.stack.pop();
    }
  }

  /** True while there is a successor to go into first. */
  visit(slot: number): boolean {
    const insn = this.env.insns[slot]!;
    if (isFunctionPointer(insn)) return this.visitCall(slot, insn, true);
    if (!isJumpClass(insn)) return this.push(slot, slot + (isWideImmediate(insn) ? 2 : 1), FALLTHROUGH);
    switch (insn.opcode & 0xf0) {
      case JMP.EXIT:
        return false;
      case JMP.CALL:
        this.noteCall(slot, insn);
        return this.visitCall(slot, insn, insn.src === PSEUDO_CALL.SUBPROG);
      case JMP.JA:
        if (insn.opcode & SRC.X) unsupported("indirect jumps (gotox)");
        return this.visitJump(slot, slot + 1 + jumpDistance(insn));
      default: {
        const { prunePoint, forceCheckpoint } = this.env.notes;
        prunePoint[slot] = 1;
        if (insn.opcode === (CLASS.JMP | JMP.JCOND)) forceCheckpoint[slot] = 1;
        return this.push(slot, slot + 1, FALLTHROUGH) || this.push(slot, slot + 1 + insn.off, BRANCH);
      }
    }
  }

  visitJump(slot: number, target: number): boolean {
    if (this.push(slot, target, FALLTHROUGH)) return true;
    this.markTarget(target);
    return false;
  }

  noteCall(slot: number, insn: Insn): void {
    const { notes } = this.env;
    const helper = isHelperCall(insn) ? helperById(insn.imm) : undefined;
    if (helper?.changesPacket) this.env.subprogramOf(slot).changesPacket = true;
    if (helper?.sleepable) this.env.subprogramOf(slot).mightSleep = true;
    if (isKernelCall(insn)) this.noteKernelCall(slot, insn);
    // States are compared before each new one sets the callback once more.
    if (isHelperCall(insn) && insn.imm === TIMER_SET_CALLBACK) notes.prunePoint[slot] = 1;
    if (callsCallback(insn)) this.noteCallback(slot);
  }

  noteCallback(slot: number): void {
    this.env.notes.callsCallback[slot] = 1;
    this.env.notes.forceCheckpoint[slot] = 1;
    this.markTarget(slot);
  }

  /** Steps of iterators are where the states of a loop's rounds are compared. */
  noteKernelCall(slot: number, insn: Insn): void {
    const { notes } = this.env;
    const target = kernelFunctionOf(this.env, insn);
    if (target?.name === "bpf_xdp_pull_data") this.env.subprogramOf(slot).changesPacket = true;
    if (target === null) return;
    if (hasFlag(target, "sleepable")) this.env.subprogramOf(slot).mightSleep = true;
    if (target.name === "bpf_rbtree_add_impl") this.noteCallback(slot);
    if (SETS_CALLBACK.has(target.name)) notes.prunePoint[slot] = 1;
    if (!hasFlag(target, "iterNext")) return;
    notes.prunePoint[slot] = 1;
    notes.forceCheckpoint[slot] = 1;
    notes.stepsIterator[slot] = 1;
  }

  visitCall(slot: number, insn: Insn, entersCallee: boolean): boolean {
    const next = slot + (isWideImmediate(insn) ? 2 : 1);
    if (this.push(slot, next, FALLTHROUGH)) return true;
    this.markTarget(next);
    if (!entersCallee) return false;
    this.env.notes.prunePoint[slot] = 1;
    const target = slot + insn.imm + 1;
    const callee = this.env.subprogramOf(target);
    if (callee.changesPacket) this.env.subprogramOf(slot).changesPacket = true;
    if (callee.mightSleep) this.env.subprogramOf(slot).mightSleep = true;
    return this.push(slot, target, BRANCH);
  }

  markTarget(slot: number): void {
    this.env.notes.prunePoint[slot] = 1;
    this.env.notes.jumpPoint[slot] = 1;
  }

  push(from: number, to: number, edge: number): boolean {
    if (this.marks[from]! >= (DISCOVERED | edge)) return false;
    if (to < 0 || to >= this.env.insns.length) {
      reject(this.env, "EINVAL", `jump out of range from insn ${from} to ${to}`);
    }
    if (edge === BRANCH) this.markTarget(to);
    if (this.marks[to] === 0) {
      this.marks[from] = DISCOVERED | edge;
      this.marks[to] = DISCOVERED;
      this.stack.push(to);
      return true;
    }
    if (this.marks[to] === EXPLORED) this.marks[from] = DISCOVERED | edge;
    return false;
  }
}
