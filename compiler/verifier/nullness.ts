/** Pointers that may be null, after a comparison with null. Kernel: mark_ptr_or_null_regs(), mark_ptr_not_null_reg(). */
import type { Env } from "./env.ts";
import { edit, FLAG, mayBeNull, REG, type Reg, type RegState, ZERO } from "./register.ts";
import { mapRegisters, type State } from "./state.ts";
import { findField, mayHoldLock } from "./value-fields.ts";

/** What is learned of `register` holds for all pointers that came from the same call. */
export function learnNullness(env: Env, state: State, register: number, isNull: boolean): void {
  const { id, refId } = state.registers[register]!;
  // Nothing was acquired on this path.
  if (isNull && refId !== 0 && refId === id) {
    state.references = state.references.filter((reference) => reference.id !== id || reference.kind !== "pointer");
  }
  mapRegisters(state, (reg) => {
    if (!mayBeNull(reg.type) || reg.id !== id) return reg;
    if (isNull) return ZERO;
    const known = notNull(reg);
    // What can be locked is told from other values of its map by its id.
    if (!mayHoldLock(env, known)) known.id = 0;
    return known;
  });
}

/** What a map of maps holds is a map, what a map of sockets holds a socket. Kernel: mark_ptr_not_null_reg(). */
export function notNull(reg: RegState): Reg {
  const result = edit(reg);
  result.type &= ~FLAG.MAYBE_NULL;
  if (result.type !== REG.MAP_VALUE) return result;
  const { type, inner } = result.map!;
  if (type === "xskmap") result.type = REG.XDP_SOCK;
  else if (type === "sockmap" || type === "sockhash") result.type = REG.SOCKET;
  else if (inner !== null) {
    result.type = REG.MAP_PTR;
    result.map = inner;
    // Values of it go with it, not with another inner map.
    if (findField(inner.fields ?? [], "timer", "workqueue", "taskWork")) result.mapUid = reg.id;
  }
  return result;
}
