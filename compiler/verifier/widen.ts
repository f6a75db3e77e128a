/**
 * Scalars that differ between iterations of a loop, and whose value has not mattered, become unknown, so that the
 * iterations converge. Kernel: widen_imprecise_scalars().
 */
import type { Env } from "./env.ts";
import { sameRegister } from "./equivalence.ts";
import { REG, type RegState, UNKNOWN } from "./register.ts";
import { isSpilled, type State } from "./state.ts";

/** `old` is the state of an earlier iteration at the same instruction. */
export function widenImprecise(env: Env, old: State, state: State): void {
  for (const [f, oldFrame] of old.frames.entries()) {
    const frame = state.frames[f]!;
    for (let r = 0; r <= 10; r++) {
      frame.registers[r] = widened(env, oldFrame.registers[r]!, frame.registers[r]!);
    }
    const slots = Math.min(oldFrame.stack.length, frame.stack.length);
    for (let s = 0; s < slots; s++) {
      const oldSlot = oldFrame.stack[s]!;
      const slot = frame.stack[s]!;
      if (!isSpilled(oldSlot) || !isSpilled(slot)) continue;
      const reg = widened(env, oldSlot.reg, slot.reg);
      if (reg !== slot.reg) frame.stack[s] = { kinds: slot.kinds, reg };
    }
  }
}

function widened(env: Env, old: RegState, reg: RegState): RegState {
  if (old.type !== REG.SCALAR || reg.type !== REG.SCALAR) return reg;
  return old.precise || reg.precise || sameRegister(env, old, reg) ? reg : UNKNOWN;
}
