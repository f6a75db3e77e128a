/**
 * Scalars that differ between iterations of a loop, and whose value has not mattered, become unknown, so that the
 * iterations converge. Kernel: widen_imprecise_scalars().
 */
import type { Env } from "./env.ts";
import { registerComparison } from "./equivalence.ts";
import { REG, type RegState, UNKNOWN } from "./register.ts";
import { isSpilled, type State } from "./state.ts";

/** `old` is the state of an earlier iteration at the same instruction. Inner frames first: the order decides what ids mean. */
export function widenImprecise(env: Env, old: State, state: State): void {
  const isSame = registerComparison(env);
  const widened = (before: RegState, reg: RegState): RegState => {
    if (before.type !== REG.SCALAR || reg.type !== REG.SCALAR) return reg;
    return before.precise || reg.precise || isSame(before, reg) ? reg : UNKNOWN;
  };
  for (let f = old.frames.length - 1; f >= 0; f--) {
    const oldFrame = old.frames[f]!;
    const frame = state.frames[f]!;
    for (let r = 0; r <= 10; r++) {
      frame.registers[r] = widened(oldFrame.registers[r]!, frame.registers[r]!);
    }
    const slots = Math.min(oldFrame.stack.length, frame.stack.length);
    for (let s = 0; s < slots; s++) {
      const oldSlot = oldFrame.stack[s]!;
      const slot = frame.stack[s]!;
      if (!isSpilled(oldSlot) || !isSpilled(slot)) continue;
      const reg = widened(oldSlot.reg, slot.reg);
      if (reg !== slot.reg) frame.stack[s] = { kinds: slot.kinds, reg };
    }
  }
}
