/**
 * Loads from the stack. Bytes that were never written may be read (programs are privileged): their value is unknown.
 * Kernel: check_stack_read_fixed_off(), check_stack_read_var_off().
 */
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { pushHistory } from "./history.ts";
import { REG, type RegState, UNKNOWN, withoutId, ZERO } from "./register.ts";
import { bitWidth, isConstant, isZero } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";
import { frameOf, stackRange } from "./stack-bounds.ts";
import {
  BYTE,
  byteKind,
  type Frame,
  HISTORY,
  holdsObject,
  isSpilled,
  SLOT_BYTES,
  type StackSlot,
  slotIndexOf,
} from "./state.ts";

/**
 * `address` is the number of the pointer's register `reg`, `off` includes its fixed part. Returns what is loaded; null where
 * `register` is -1 (only checked).
 */
export function readStack(
  env: Env,
  address: number,
  reg: RegState,
  off: number,
  size: number,
  register: number,
): RegState | null {
  const { min, max } = stackRange(reg, off);
  const frame = frameOf(env, reg);
  if (min === max && isConstant(reg.value)) return readFixed(env, frame, min, size, register);
  if (register < 0) {
    reject(
      env,
      "EACCES",
      `variable offset stack pointer cannot be passed into helper function; var_off=${maskText(reg.value)} off=${off} size=${size}`,
    );
  }
  requirePlain(env, address, reg, min, max + size - min, size);
  env.stackLiveness.readRange(frame, min, max + size);
  return joinBytes(env, frame, min, max + size);
}

/**
 * Dynptrs and other objects are no bytes to read: of `bytes` bytes from `min` on, of which an access takes `size`.
 * Kernel: check_stack_range_initialized().
 */
export function requirePlain(env: Env, address: number, reg: RegState, min: number, bytes: number, size: number): void {
  const frame = frameOf(env, reg);
  for (let at = 0; at < bytes; at++) {
    if (!holdsObject(frame.slot(slotIndexOf(min + at)))) continue;
    const place = isConstant(reg.value) ? `off ${min}+${at}` : `var_off ${maskText(reg.value)}+${at}`;
    reject(env, "EACCES", `invalid read from stack R${address} ${place} size ${size}`);
  }
}

function readFixed(env: Env, frame: Frame, off: number, size: number, register: number): RegState | null {
  const index = slotIndexOf(off);
  const slot = frame.slot(index);
  env.scratchSlot(frame, index);
  env.stackLiveness.readRange(frame, off, off + size);
  if (holdsObject(slot)) reject(env, "EACCES", `invalid read from stack off ${off}+0 size ${size}`);
  if (!isSpilled(slot)) return register < 0 ? null : joinBytes(env, frame, off, off + size);
  const spilledBytes = spillSize(slot);
  let loaded: RegState = slot.reg;
  let fromSpill = true;
  if (size !== SLOT_BYTES || spilledBytes !== SLOT_BYTES) {
    if (slot.reg.type !== REG.SCALAR) reject(env, "EACCES", "invalid size of register fill");
    if (register < 0) return null;
    if (size <= spilledBytes && off % SLOT_BYTES === 0) {
      loaded = bitWidth(slot.reg.value) > size * 8 ? withoutId(slot.reg) : slot.reg;
    } else {
      const part = partOfSpill(slot, off, size);
      loaded = part.value;
      fromSpill = part.fromSpill;
    }
  }
  if (fromSpill) pushHistory(env, { flags: HISTORY.STACK_ACCESS, slot: index, frame: frame.index });
  return register < 0 ? null : loaded;
}

/** Bytes of the slot, from its start, that belong to the spilled register. */
function spillSize(slot: StackSlot): number {
  let size = 0;
  while (size < SLOT_BYTES && byteKind(slot.kinds, SLOT_BYTES - 1 - size) === BYTE.SPILL) size++;
  return size;
}

/** A load that does not begin where the spill does: known only where it is zero altogether. */
function partOfSpill(slot: StackSlot, off: number, size: number): { value: RegState; fromSpill: boolean } {
  let spilled = 0;
  let zeros = 0;
  for (let i = 0; i < size; i++) {
    const kind = byteKind(slot.kinds, (-off - 1 - i) % SLOT_BYTES);
    if (kind === BYTE.SPILL) spilled++;
    if (kind === BYTE.ZERO) zeros++;
  }
  if (spilled === size && isZero(slot.reg.value)) return { value: ZERO, fromSpill: true };
  return { value: zeros === size ? ZERO : UNKNOWN, fromSpill: false };
}

/** Zero where all bytes in [min, end) are zeros, else anything. Kernel: mark_reg_stack_read(). */
function joinBytes(env: Env, frame: Frame, min: number, end: number): RegState {
  for (let at = min; at < end; at++) {
    const index = slotIndexOf(at);
    env.scratchSlot(frame, index);
    if (byteKind(frame.slot(index).kinds, (-at - 1) % SLOT_BYTES) !== BYTE.ZERO) return UNKNOWN;
  }
  return ZERO;
}
