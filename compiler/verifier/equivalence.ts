/**
 * Whether a state that was explored covers another: whatever the new one can do, the old one was found safe for.
 * Kernel: states_equal(), regsafe(), stacksafe(), refsafe().
 */
import type { Env } from "./env.ts";
import { baseType, type IteratorInfo, LINK, REG, type RegState, UNKNOWN } from "./register.ts";
import { contains, sameScalar } from "./scalar.ts";
import {
  BYTE,
  byteKind,
  type Frame,
  frameInsnIndex,
  isSpilledScalar,
  SLOT_BYTES,
  type StackSlot,
  type State,
} from "./state.ts";

/** EXACT: the same; RANGE: within, whatever is precise; COVERED: only precise values count. Kernel: enum exact_level */
export type Strictness = "exact" | "range" | "covered";

/** Which id of the new state stands for which of the old; one to one. Kernel: struct bpf_idmap */
class IdMap {
  readonly #old: number[] = [];
  readonly #new: number[] = [];
  #temporary: number;

  constructor(lastId: number) {
    this.#temporary = lastId;
  }

  matches(oldId: number, newId: number): boolean {
    if ((oldId === 0) !== (newId === 0)) return false;
    if (oldId === 0) return true;
    for (let i = 0; i < this.#old.length; i++) {
      if (this.#old[i] === oldId) return this.#new[i] === newId;
      if (this.#new[i] === newId) return false;
    }
    this.#old.push(oldId);
    this.#new.push(newId);
    return true;
  }

  /** A scalar without id is linked to nothing, so it may take part only once. Kernel: check_scalar_ids() */
  matchesScalar(oldId: number, newId: number): boolean {
    return oldId === 0 || this.matches(oldId, newId === 0 ? ++this.#temporary : newId);
  }
}

export function covers(env: Env, old: State, state: State, strictness: Strictness): boolean {
  if (old.frames.length !== state.frames.length || old.sleepable !== state.sleepable) return false;
  const ids = new IdMap(env.lastId);
  if (!sameReferences(old, state, ids)) return false;
  for (let f = 0; f < old.frames.length; f++) {
    const oldFrame = old.frames[f]!;
    const frame = state.frames[f]!;
    if (oldFrame.callSite !== frame.callSite) return false;
    const live = env.notes.liveRegisters[frameInsnIndex(old, f)]!;
    if (!coversFrame(oldFrame, frame, live, ids, strictness)) return false;
  }
  return true;
}

/** Kernel: refsafe(). */
function sameReferences(old: State, state: State, ids: IdMap): boolean {
  return (
    old.references.length === state.references.length &&
    old.rcuLocks === state.rcuLocks &&
    old.preemptLocks === state.preemptLocks &&
    old.locks === state.locks &&
    ids.matches(old.irqId, state.irqId) &&
    old.references.every((reference, i) => {
      const other = state.references[i]!;
      return reference.kind === other.kind && reference.owner === other.owner && ids.matches(reference.id, other.id);
    })
  );
}

function coversFrame(old: Frame, frame: Frame, live: number, ids: IdMap, strictness: Strictness): boolean {
  if (old.callbackDepth > frame.callbackDepth) return false;
  for (let r = 0; r <= 10; r++) {
    if (live & (1 << r) && !coversRegister(old.registers[r]!, frame.registers[r]!, ids, strictness)) return false;
  }
  return coversStack(old, frame, ids, strictness);
}

/** Same in everything but ids, precision and value. */
const samePointer = (old: RegState, reg: RegState): boolean =>
  old.type === reg.type &&
  old.off === reg.off &&
  old.map === reg.map &&
  old.mapUid === reg.mapUid &&
  old.memSize === reg.memSize &&
  old.dynptrId === reg.dynptrId &&
  old.btf === reg.btf &&
  old.btfType === reg.btfType &&
  old.subprogram === reg.subprogram &&
  old.frame === reg.frame &&
  old.dynptr?.kind === reg.dynptr?.kind &&
  old.dynptr?.first === reg.dynptr?.first &&
  sameIterator(old.iterator, reg.iterator);

/** Rounds of a loop differ in depth alone, which tells nothing of what they may do. */
const sameIterator = (old: IteratorInfo | null, now: IteratorInfo | null): boolean =>
  old === now ||
  (old !== null && now !== null && old.btf === now.btf && old.btfType === now.btfType && old.state === now.state);

const isExact = (old: RegState, reg: RegState, ids: IdMap): boolean =>
  samePointer(old, reg) &&
  old.range === reg.range &&
  old.delta === reg.delta &&
  old.link === reg.link &&
  sameScalar(old.value, reg.value) &&
  ids.matches(old.id, reg.id) &&
  ids.matches(old.refId, reg.refId);

/** The same in everything, ids included. */
export const isIdentical = (old: RegState, reg: RegState): boolean =>
  old === reg ||
  (samePointer(old, reg) &&
    old.range === reg.range &&
    old.delta === reg.delta &&
    old.link === reg.link &&
    old.id === reg.id &&
    old.refId === reg.refId &&
    sameScalar(old.value, reg.value));

/** Compares registers of two states, in which ids must mean the same. Kernel: regs_exact(). */
export function registerComparison(env: Env): (old: RegState, reg: RegState) => boolean {
  const ids = new IdMap(env.lastId);
  return (old, reg) => isExact(old, reg, ids);
}

function coversRegister(old: RegState, reg: RegState, ids: IdMap, strictness: Strictness): boolean {
  if (strictness === "exact") return isExact(old, reg, ids);
  // In a loop under way, not yet (in Linux 6.18): what the old state leads to is not all known.
  if (old.type === REG.NOT_INIT) return strictness === "covered" || reg.type === REG.NOT_INIT;
  if (old.type !== reg.type) return false;
  switch (baseType(old.type)) {
    case REG.SCALAR:
      return coversScalar(old, reg, ids, strictness);
    case REG.MAP_KEY:
    case REG.MAP_VALUE:
    case REG.MEM:
    case REG.BUF:
    case REG.TP_BUFFER:
      return (
        samePointer(old, reg) &&
        contains(old.value, reg.value) &&
        ids.matches(old.id, reg.id) &&
        ids.matches(old.refId, reg.refId)
      );
    case REG.ARENA:
      return true;
    case REG.PACKET:
    case REG.PACKET_META:
      if (old.range < 0 || reg.range < 0 ? old.range !== reg.range : old.range > reg.range) return false;
      return old.off === reg.off && ids.matches(old.id, reg.id) && contains(old.value, reg.value);
    default:
      return isExact(old, reg, ids);
  }
}

function coversScalar(old: RegState, reg: RegState, ids: IdMap, strictness: Strictness): boolean {
  if (!old.precise && strictness === "covered") return true;
  if (old.id !== 0 && (old.link !== reg.link || (old.link !== LINK.EQUAL && old.delta !== reg.delta))) return false;
  return ids.matchesScalar(old.id, reg.id) && contains(old.value, reg.value);
}

/** Kernel: stacksafe(). */
function coversStack(old: Frame, frame: Frame, ids: IdMap, strictness: Strictness): boolean {
  for (let s = 0; s < old.stack.length; s++) {
    const oldSlot = old.stack[s]!;
    const slot = frame.stack[s];
    // Nothing of it is read again, or was ever written.
    if (oldSlot.kinds === 0 && (oldSlot === slot || strictness === "covered")) continue;
    if (strictness !== "covered" && (slot === undefined || oldSlot.kinds !== slot.kinds)) return false;
    if (!coversSlot(oldSlot, slot, ids, strictness)) return false;
  }
  return true;
}

const isRead = (kind: number): boolean => kind !== BYTE.INVALID && kind !== BYTE.MISC;

function coversSlot(old: StackSlot, present: StackSlot | undefined, ids: IdMap, strictness: Strictness): boolean {
  for (let byte = 0; byte < SLOT_BYTES; byte++) {
    const kind = byteKind(old.kinds, byte);
    // A privileged program may read bytes that were never written; they are as unknown as written ones.
    if (!isRead(kind)) continue;
    if (present === undefined) return false;
    if (byte === 0) {
      const oldScalar = wholeScalar(old);
      const scalar = wholeScalar(present);
      if (oldScalar && scalar) {
        if (!coversRegister(oldScalar, scalar, ids, strictness)) return false;
        break;
      }
    }
    if (kind !== byteKind(present.kinds, byte)) return false;
    if (byte < SLOT_BYTES - 1) continue;
    if (kind === BYTE.SPILL && !coversRegister(old.reg, present.reg, ids, strictness)) return false;
    if (isObject(kind) && !sameObject(old.reg, present.reg, ids)) return false;
  }
  return true;
}

const isObject = (kind: number): boolean => kind === BYTE.DYNPTR || kind === BYTE.ITERATOR || kind === BYTE.IRQ_FLAG;

/** A dynptr, iterator or interrupt flag: of the same kind, and owned alike. Which dynptr it is does not matter. */
const sameObject = (old: RegState, reg: RegState, ids: IdMap): boolean =>
  samePointer(old, reg) && (old.dynptr !== null || ids.matches(old.id, reg.id)) && ids.matches(old.refId, reg.refId);

/** The scalar that the whole slot holds: a spilled one, or anything. Kernel: scalar_reg_for_stack(). */
function wholeScalar(slot: StackSlot): RegState | null {
  if (byteKind(slot.kinds, 0) === BYTE.SPILL && isSpilledScalar(slot)) return slot.reg;
  for (let byte = 0; byte < SLOT_BYTES; byte++) if (isRead(byteKind(slot.kinds, byte))) return null;
  return UNKNOWN;
}
