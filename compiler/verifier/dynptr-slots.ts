/**
 * Dynptrs on the stack: two slots each, made by a helper, gone when anything else is written over one of them. What was
 * derived from a dynptr goes with it. Kernel: mark_stack_slots_dynptr(), unmark_stack_slots_dynptr(),
 * destroy_if_dynptr_stack_slot().
 */
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { acquireReference, releaseReference } from "./references.ts";
import { type DynptrKind, FLAG, pointerReg, REG, type Reg, UNKNOWN } from "./register.ts";
import { BYTE, EMPTY_SLOT, type Frame, mapRegisters, SLOT_BYTES } from "./state.ts";

export const DYNPTR_SLOTS = 2;
export const DYNPTR_BYTES = DYNPTR_SLOTS * SLOT_BYTES;

/** All bytes of a slot. */
const DYNPTR_KINDS = 0x11111111 * BYTE.DYNPTR;

/** Whether what it is over must be given back. */
export const isOwned = (kind: DynptrKind): boolean => kind === "ringbuf";

export const isDynptrSlot = (frame: Frame, index: number): boolean => frame.slot(index).kinds === DYNPTR_KINDS;

/** A register, or the half of a dynptr that lies in a slot. */
export function dynptrReg(kind: DynptrKind, id: number, first = true): Reg {
  const reg = pointerReg(REG.DYNPTR);
  reg.id = id;
  reg.dynptr = { kind, first };
  return reg;
}

/**
 * Makes one in the slots `index` (lower half) and `index - 1`, which were written before, so that what they held is gone.
 * `cloneOf`: the reference that it shares with the dynptr that it is a copy of, 0: it is no copy.
 */
export function placeDynptr(env: Env, frame: Frame, index: number, kind: DynptrKind, cloneOf: number): void {
  const id = env.newId();
  const refId = isOwned(kind) ? cloneOf || acquireReference(env) : 0;
  for (const first of [true, false]) {
    const half = dynptrReg(kind, id, first);
    half.refId = refId;
    frame.setSlot(first ? index : index - 1, { kinds: DYNPTR_KINDS, reg: half });
  }
}

/**
 * Gives back what the dynptr in slot `index` is over: it, its copies in the same frame and all pointers into it end. Copies
 * in other frames stay, as they do in the kernel; they are of no use any more (isHeld()).
 */
export function releaseSlots(env: Env, frame: Frame, index: number): void {
  const { refId } = frame.slot(index).reg;
  releaseReference(env, refId);
  for (const [slot, { reg }] of frame.stack.entries()) {
    if (isDynptrSlot(frame, slot) && reg.refId === refId && reg.dynptr!.first) clearSlots(env, frame, slot);
  }
}

/** What is written to slot `index` ends the dynptr that lies there, and the pointers that bpf_dynptr_data made of it. */
export function destroyDynptr(env: Env, frame: Frame, index: number): void {
  const { reg } = frame.slot(index);
  if (!isDynptrSlot(frame, index)) return;
  const { kind, first } = reg.dynptr!;
  if (isOwned(kind)) reject(env, "EINVAL", "cannot overwrite referenced dynptr");
  clearSlots(env, frame, first ? index : index + 1);
  mapRegisters(env.state, (slice) => {
    const isSlice = (slice.type & ~FLAG.MAYBE_NULL) === REG.MEM && slice.dynptrId === reg.id;
    return isSlice ? UNKNOWN : slice;
  });
}

function clearSlots(env: Env, frame: Frame, index: number): void {
  for (const slot of [index, index - 1]) {
    frame.setSlot(slot, EMPTY_SLOT);
    env.scratchSlot(frame, slot);
    env.stackLiveness.written(frame, slot);
  }
}
