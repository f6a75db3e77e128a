/**
 * Precision tracking: a scalar whose value mattered (an offset, a size, a decided branch) is followed backwards through
 * the instructions of the path, and everything it came from is marked precise in the checkpoints on the way. Pruning
 * compares the values of precise scalars only. Kernel: mark_chain_precision(), backtrack_insn().
 */
import { BugError } from "../../base/errors.ts";
import { backtrackInsn } from "./backtrack.ts";
import { Demand, demandText } from "./demand.ts";
import type { Env } from "./env.ts";
import { kernelBug } from "./failure.ts";
import { stateText } from "./print.ts";
import { markPrecise, REG, type RegState } from "./register.ts";
import { type Frame, isSpilledScalar, type State } from "./state.ts";

/** The value of this register of the current state mattered. */
export function requestPrecision(env: Env, register: number): void {
  if (env.register(register).type !== REG.SCALAR) kernelBug(env, "backtracking misuse");
  const demand = new Demand(env.state.frames.length - 1);
  demand.setRegister(register);
  followBack(env, env.state, demand);
}

/** The value of the scalar spilled in this slot mattered. */
export function requestSlotPrecision(env: Env, frame: number, slot: number): void {
  const demand = new Demand(env.state.frames.length - 1);
  demand.setSlot(slot, frame);
  followBack(env, env.state, demand);
}

/**
 * `state` is about to be pruned since `old` covers it: what `old` needed precisely, the checkpoints that `state` came
 * from must know precisely too. Returns whether a checkpoint changed. Kernel: propagate_precision().
 */
export function propagatePrecision(env: Env, old: State, state: State): boolean {
  const demand = new Demand(state.frames.length - 1);
  for (let f = old.frames.length - 1; f >= 0; f--) {
    const frame = old.frames[f]!;
    const names: string[] = [];
    for (let r = 0; r < 10; r++) {
      if (!isPreciseScalar(frame.registers[r]!)) continue;
      demand.setRegister(r, f);
      names.push(`r${r}`);
    }
    for (let s = 0; s < frame.stack.length; s++) {
      const slot = frame.stack[s]!;
      if (!isSpilledScalar(slot) || !slot.reg.precise) continue;
      demand.setSlot(s, f);
      names.push(`fp${-(s + 1) * 8}`);
    }
    if (names.length > 0 && env.log.tracesAll) env.log.line(`frame ${f}: propagating ${names.join(",")}`);
  }
  return followBack(env, state, demand);
}

const isPreciseScalar = (reg: RegState): boolean => reg.type === REG.SCALAR && reg.precise;

/** Walks back from the end of `start`'s history until the demand is met. Returns whether a checkpoint changed. */
function followBack(env: Env, start: State, demand: Demand): boolean {
  if (demand.isEmpty) return false;
  let changed = false;
  let state = start;
  let last = start.insnIndex;
  let subsequent = -1;
  let skip = true;
  for (;;) {
    if (env.log.tracesAll) {
      const place = `last_idx ${last} first_idx ${state.firstIndex} subseq_idx ${subsequent} `;
      env.log.line(`mark_precise: frame${demand.frame}: ${place}`);
    }
    if (last < 0) return meetAtEntry(state, demand) || changed;
    let used = state.history.length;
    for (let index = last; ; ) {
      if (skip) skip = false;
      else {
        const top = used > 0 ? state.history[used - 1]! : null;
        const entry = top !== null && top.insnIndex === index ? top : null;
        if (!backtrackInsn(env, demand, index, subsequent, entry)) {
          forceAllPrecise(env, start);
          return true;
        }
      }
      if (demand.isEmpty) return changed;
      subsequent = index;
      const step = previousStep(state, index, used);
      if (step === null) break;
      index = step.index;
      used = step.used;
      if (index < 0) kernelBug(env, `backtracking idx ${index}`);
    }
    const { parent } = state;
    if (parent === null) break;
    if (markDemanded(env, parent, demand)) changed = true;
    if (demand.isEmpty) return changed;
    subsequent = state.firstIndex;
    last = parent.lastIndex;
    state = parent;
  }
  forceAllPrecise(env, start);
  return true;
}

/** The instruction before `index` on the path; null at the beginning of the state. Kernel: get_prev_insn_idx(). */
function previousStep(state: State, index: number, used: number): { index: number; used: number } | null {
  if (index === state.firstIndex) {
    if (used === 0) return null;
    if (used === 1 && state.history[0]!.insnIndex === index) return null;
  }
  const top = used > 0 ? state.history[used - 1]! : null;
  if (top !== null && top.insnIndex === index) return { index: top.previousIndex, used: used - 1 };
  return { index: index - 1, used };
}

/** Marks the demanded scalars of a checkpoint; what is precise already, or no scalar, needs no further search. */
function markDemanded(env: Env, state: State, demand: Demand): boolean {
  let changed = false;
  for (let f = demand.frame; f >= 0; f--) {
    const frame = state.frames[f];
    if (!frame) throw new BugError("backtracking found a frame that the checkpoint does not have");
    for (const r of demand.registers(f)) {
      const reg = frame.registers[r]!;
      if (reg.type !== REG.SCALAR || reg.precise) demand.clearRegister(r, f);
      else {
        frame.registers[r] = markPrecise(reg);
        changed = true;
      }
    }
    for (const s of demand.slots(f)) {
      const slot = frame.slot(s);
      if (!isSpilledScalar(slot) || slot.reg.precise) demand.clearSlot(s, f);
      else {
        frame.setSlot(s, { kinds: slot.kinds, reg: markPrecise(slot.reg) });
        changed = true;
      }
    }
    if (env.log.tracesAll) {
      const demands = demandText(demand, f);
      env.log.line(`mark_precise: frame${f}: parent state ${demands}: ${stateText(state, frame)}`);
    }
  }
  return changed;
}

/** At the entry of a global function only its arguments can be left; they are what the caller may pass. */
function meetAtEntry(state: State, demand: Demand): boolean {
  let changed = false;
  const frame = state.frames[0]!;
  for (const r of demand.registers(0)) {
    const reg = frame.registers[r]!;
    if (reg.type === REG.SCALAR && !reg.precise) {
      frame.registers[r] = markPrecise(reg);
      changed = true;
    }
  }
  demand.clear();
  return changed;
}

/** The search failed: everything in the checkpoints of this path counts as precise. Kernel: mark_all_scalars_precise(). */
export function forceAllPrecise(env: Env, start: State): void {
  if (env.log.tracesAll) {
    env.log.line(`mark_precise: frame${start.frameIndex}: falling back to forcing all scalars precise`);
  }
  // What was forced before stays so, and so does all before it: a loop that cannot be followed takes no quadratic time.
  for (let state = start.parent; state !== null && !state.allPrecise; state = state.parent) {
    for (const frame of state.frames) forceFramePrecise(env, frame);
    state.allPrecise = true;
  }
}

function forceFramePrecise(env: Env, frame: Frame): void {
  const note = (name: string): void => {
    if (env.log.tracesAll) env.log.line(`force_precise: frame${frame.index}: forcing ${name} to be precise`);
  };
  for (let r = 0; r < 10; r++) {
    const reg = frame.registers[r]!;
    if (reg.type !== REG.SCALAR || reg.precise) continue;
    frame.registers[r] = markPrecise(reg);
    note(`r${r}`);
  }
  for (let s = 0; s < frame.stack.length; s++) {
    const slot = frame.stack[s]!;
    if (!isSpilledScalar(slot) || slot.reg.precise) continue;
    frame.stack[s] = { kinds: slot.kinds, reg: markPrecise(slot.reg) };
    note(`fp${-(s + 1) * 8}`);
  }
}
