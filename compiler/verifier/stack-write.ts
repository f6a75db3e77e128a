/**
 * Stores to the stack: registers are spilled whole or in part, constants remembered, everything else leaves bytes of
 * no known value. Kernel: check_stack_write_fixed_off(), check_stack_write_var_off().
 */
import { CLASS } from "../../spec/isa.ts";
import { destroyDynptr } from "./dynptr-slots.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { pushHistory } from "./history.ts";
import { assignIdBeforeMove } from "./linked.ts";
import { requestPrecision } from "./precision.ts";
import { knownReg, NOT_INIT, REG, type RegState, withoutId } from "./register.ts";
import { bitWidth, isConstant, isZero } from "./scalar.ts";
import { frameOf, stackRange } from "./stack-bounds.ts";
import {
  BYTE,
  byteKind,
  type Frame,
  HISTORY,
  holdsObject,
  isSpilled,
  isSpilledScalar,
  SLOT_BYTES,
  type StackSlot,
  slotIndexOf,
  withByteKind,
} from "./state.ts";

/** `off` includes the fixed part of the offset; checkStackBounds() has passed. `register` -1: an immediate or nothing. */
export function writeStack(env: Env, reg: RegState, off: number, size: number, register: number): void {
  const { min, max } = stackRange(reg, off);
  if (min === max && isConstant(reg.value)) writeFixed(env, frameOf(env, reg), min, size, register);
  else writeVariable(env, frameOf(env, reg), min, max + size, register);
}

function writeFixed(env: Env, frame: Frame, off: number, size: number, register: number): void {
  const index = slotIndexOf(off);
  const value = register >= 0 ? env.register(register) : storedImmediate(env);
  destroyDynptr(env, frame, index);
  env.scratchSlot(frame, index);
  const atSlotStart = off % SLOT_BYTES === 0;
  if (size === SLOT_BYTES) env.stackLiveness.written(frame, index);
  let remembered = true;
  if (value !== null && value.type === REG.SCALAR && atSlotStart) {
    spillScalar(env, frame, index, value, size, register);
  } else if (value !== null && isSpillable(value)) {
    spillPointer(env, frame, index, value, size);
  } else {
    remembered = false;
    writeBytes(env, frame, off, size, value, register);
  }
  if (remembered) pushHistory(env, { flags: HISTORY.STACK_ACCESS, slot: index, frame: frame.index });
}

/** Pointers that the stack keeps; others leave bytes of no known value. Kernel: is_spillable_regtype(). */
const isSpillable = ({ type }: RegState): boolean =>
  type !== REG.SCALAR && type !== REG.NOT_INIT && type !== REG.TP_BUFFER && type !== REG.DYNPTR;

/** The constant that an ST instruction stores; null for accesses that store nothing known (atomics, helpers). */
function storedImmediate(env: Env): RegState | null {
  const insn = env.insns[env.insnIndex]!;
  return (insn.opcode & 7) === CLASS.ST ? knownReg(BigInt.asUintN(64, BigInt(insn.imm))) : null;
}

function spillScalar(env: Env, frame: Frame, index: number, value: RegState, size: number, register: number): void {
  const isWhole = bitWidth(value.value) <= size * 8;
  let spilled = value;
  if (register >= 0 && isWhole) spilled = assignIdBeforeMove(env, register);
  if (!isWhole) spilled = withoutId(spilled);
  saveRegister(frame, index, spilled, size);
}

function spillPointer(env: Env, frame: Frame, index: number, value: RegState, size: number): void {
  if (size !== SLOT_BYTES) reject(env, "EACCES", "invalid size of register spill");
  if (frame !== env.state.frame && value.type === REG.STACK) {
    reject(env, "EINVAL", "cannot spill pointers to stack into stack frame of the caller");
  }
  saveRegister(frame, index, value, size);
}

/** Kernel: save_register_state(). */
function saveRegister(frame: Frame, index: number, reg: RegState, size: number): void {
  let { kinds } = frame.slot(index);
  for (let byte = 0; byte < SLOT_BYTES; byte++) {
    if (byte >= SLOT_BYTES - size) kinds = withByteKind(kinds, byte, BYTE.SPILL);
    else kinds = withByteKind(kinds, byte, degraded(byteKind(kinds, byte)));
  }
  frame.setSlot(index, { kinds, reg });
}

/** Kernel: mark_stack_slot_misc(). */
const degraded = (kind: number): number => (kind === BYTE.ZERO || kind === BYTE.INVALID ? kind : BYTE.MISC);

/**
 * What is left of a slot when part of it is written otherwise: of a spilled register and of an object, bytes.
 * Kernel: scrub_special_slot().
 */
export function scrubbed(slot: StackSlot): number {
  let { kinds } = slot;
  if (!isSpilled(slot) && !holdsObject(slot)) return kinds;
  for (let byte = 0; byte < SLOT_BYTES; byte++) {
    if (byteKind(kinds, byte) !== BYTE.INVALID) kinds = withByteKind(kinds, byte, BYTE.MISC);
  }
  return kinds;
}

function writeBytes(env: Env, frame: Frame, off: number, size: number, value: RegState | null, register: number): void {
  const index = slotIndexOf(off);
  let kinds = scrubbed(frame.slot(index));
  const isNull = value !== null && value.type === REG.SCALAR && isZero(value.value);
  if (isNull && register >= 0) requestPrecision(env, register);
  const first = -off - 1;
  for (let i = 0; i < size; i++) kinds = withByteKind(kinds, (first - i) % SLOT_BYTES, isNull ? BYTE.ZERO : BYTE.MISC);
  frame.setSlot(index, { kinds, reg: NOT_INIT });
}

/** A store whose address is not one: every byte that it can reach loses what was known of it, but zeros under a zero. */
function writeVariable(env: Env, frame: Frame, min: number, end: number, register: number): void {
  const value = register >= 0 ? env.register(register) : storedImmediate(env);
  const writesZero = value !== null && value.type === REG.SCALAR && isZero(value.value);
  let reliesOnZero = false;
  for (let off = min; off < end; off++) destroyDynptr(env, frame, slotIndexOf(off));
  for (let off = min; off < end; off++) {
    const index = slotIndexOf(off);
    const byte = (-off - 1) % SLOT_BYTES;
    const slot = frame.slot(index);
    env.scratchSlot(frame, index);
    const kind = byteKind(slot.kinds, byte);
    if (writesZero && kind === BYTE.SPILL && isSpilledScalar(slot) && isZero(slot.reg.value)) {
      reliesOnZero = true;
      continue;
    }
    // Zeros beside a spilled register go with it.
    const left = scrubbed(slot);
    const staysZero = writesZero && byteKind(left, byte) === BYTE.ZERO;
    if (staysZero) reliesOnZero = true;
    const kinds = withByteKind(left, byte, staysZero ? BYTE.ZERO : BYTE.MISC);
    frame.setSlot(index, { kinds, reg: NOT_INIT });
  }
  if (reliesOnZero && register >= 0) requestPrecision(env, register);
}

/** A helper writes the bytes [off, off + size) of the frame: they are initialised, of unknown value. */
export function clobberBytes(env: Env, frame: Frame, off: number, size: number): void {
  for (let at = off; at < off + size; at++) {
    const index = slotIndexOf(at);
    env.scratchSlot(frame, index);
    const kinds = withByteKind(scrubbed(frame.slot(index)), (-at - 1) % SLOT_BYTES, BYTE.MISC);
    frame.setSlot(index, { kinds, reg: NOT_INIT });
  }
}
