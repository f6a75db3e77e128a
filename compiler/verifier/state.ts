/**
 * What is known at one point of one path: the frames of the call stack with their registers and stack slots, and the
 * references that are held. Kernel: struct bpf_verifier_state, bpf_func_state, bpf_stack_state.
 */
import { NOT_INIT, REG, type RegState } from "./register.ts";

/** What one byte of the stack holds. Kernel: enum bpf_stack_slot_type. */
export const BYTE = { INVALID: 0, SPILL: 1, MISC: 2, ZERO: 3, DYNPTR: 4, ITERATOR: 5, IRQ_FLAG: 6 } as const;

/**
 * Eight bytes of stack; never changed in place. `kinds` holds a BYTE per nibble. Byte 0 is the one at the highest
 * address (as in the kernel), so byte `i` of slot `s` lies at fp - 8 s - 1 - i and a value stored at the slot's start
 * ends in byte 0:
 *
 *     address   fp-8(s+1)              fp-8s-1
 *     byte        7   6   5   4   3   2   1   0
 */
export interface StackSlot {
  readonly kinds: number;
  /** the spilled register where byte 7 is SPILL, the object where all bytes are DYNPTR, ITERATOR, IRQ_FLAG; else NOT_INIT */
  readonly reg: RegState;
}
export const EMPTY_SLOT: StackSlot = { kinds: 0, reg: NOT_INIT };
export const SLOT_BYTES = 8;

export const byteKind = (kinds: number, byte: number): number => (kinds >>> (byte * 4)) & 0xf;
export const withByteKind = (kinds: number, byte: number, kind: number): number =>
  ((kinds & ~(0xf << (byte * 4))) | (kind << (byte * 4))) >>> 0;
export const isSpilled = (slot: StackSlot): boolean => slot.kinds >>> 28 === BYTE.SPILL;
/** A dynptr, iterator or interrupt flag; it has the whole slot. */
export const holdsObject = (slot: StackSlot): boolean => slot.kinds >>> 28 >= BYTE.DYNPTR;
export const isSpilledScalar = (slot: StackSlot): boolean => isSpilled(slot) && slot.reg.type === REG.SCALAR;
/** Index of the slot that holds the byte at `offset` (negative, from the frame pointer). */
export const slotIndexOf = (offset: number): number => (-offset - 1) >> 3;

/**
 * Something that must be given back before the program ends: a pointer, a lock, interrupts switched off.
 * Kernel: struct bpf_reference_state.
 */
export interface Reference {
  readonly kind: "pointer" | "irq" | "lockIrq" | "spinLock" | "resilientLock" | "resilientIrqLock";
  readonly id: number;
  readonly insnIndex: number;
  /** locks: the map or object type that the lock lies in */
  readonly owner?: object;
}

export interface ReturnRange {
  readonly min: number;
  readonly max: number;
}

export class Frame {
  readonly registers: RegState[];
  /** grows with use; index as slotIndexOf() */
  readonly stack: StackSlot[];
  /** slot of the call that made this frame; -1: the main function, or a global one on its own */
  readonly callSite: number;
  readonly index: number;
  readonly subprogram: number;
  /** times that the callback of this frame's current helper call was simulated. Kernel: callback_depth */
  callbackDepth = 0;
  inCallback = false;
  callbackReturns: ReturnRange = { min: 0, max: 0 };
  /** a callback that runs later, on its own. See timers.ts */
  isDeferred = false;
  /** how many such callbacks lead to each other. Kernel: async_entry_cnt */
  deferredDepth = 0;

  constructor(callSite: number, index: number, subprogram: number, registers: RegState[], stack: StackSlot[]) {
    this.callSite = callSite;
    this.index = index;
    this.subprogram = subprogram;
    this.registers = registers;
    this.stack = stack;
  }

  copy(): Frame {
    const frame = new Frame(this.callSite, this.index, this.subprogram, this.registers.slice(), this.stack.slice());
    frame.callbackDepth = this.callbackDepth;
    frame.inCallback = this.inCallback;
    frame.callbackReturns = this.callbackReturns;
    frame.isDeferred = this.isDeferred;
    frame.deferredDepth = this.deferredDepth;
    return frame;
  }

  slot(index: number): StackSlot {
    return this.stack[index] ?? EMPTY_SLOT;
  }
  setSlot(index: number, slot: StackSlot): void {
    while (this.stack.length <= index) this.stack.push(EMPTY_SLOT);
    this.stack[index] = slot;
  }
  get stackBytes(): number {
    return this.stack.length * SLOT_BYTES;
  }
}

/** A register of some frame of a state, or the register spilled in one of its slots. */
export interface Place {
  readonly frame: number;
  readonly inRegister: boolean;
  /** register number or slot index */
  readonly index: number;
}

/** What backtracking must know of an instruction that was processed. Kernel: struct bpf_jmp_history_entry. */
export interface HistoryEntry {
  readonly insnIndex: number;
  readonly previousIndex: number;
  flags: number;
  slot: number;
  frame: number;
  linked: readonly Place[] | null;
}
export const HISTORY = { STACK_ACCESS: 1, SOURCE_IS_STACK: 2, DESTINATION_IS_STACK: 4 } as const;

export class State {
  frames: Frame[];
  references: readonly Reference[] = [];
  /** the checkpoint that this state goes on from */
  parent: State | null = null;
  /** paths from here that are not explored to their end yet */
  branches = 1;
  /** a checkpoint that new states are not compared with any more */
  evicted = false;
  /** a checkpoint whose scalars are all precise */
  allPrecise = false;
  insnIndex = 0;
  firstIndex = 0;
  lastIndex = -1;
  /** since the parent; never changed in place but for its last entry */
  history: HistoryEntry[] = [];
  depth = 0;
  callbackUnrollDepth = 0;
  mayGotoDepth = 0;
  /** sections that the path is in: nothing that sleeps may be called there. Kernel: active_rcu_locks and its like */
  rcuLocks = 0;
  preemptLocks = 0;
  /** locks among the references */
  locks = 0;
  /** id of the reference for the last interrupt flag saved, 0: interrupts are on */
  irqId = 0;
  /** in a callback that may sleep, whatever the program may. Kernel: in_sleepable */
  sleepable = false;

  constructor(frames: Frame[]) {
    this.frames = frames;
  }

  get frame(): Frame {
    return this.frames[this.frames.length - 1]!;
  }
  get frameIndex(): number {
    return this.frames.length - 1;
  }
  get registers(): RegState[] {
    return this.frames[this.frames.length - 1]!.registers;
  }

  copy(): State {
    const state = new State(this.frames.map((frame) => frame.copy()));
    state.references = this.references;
    state.parent = this.parent;
    state.branches = this.branches;
    state.insnIndex = this.insnIndex;
    state.firstIndex = this.firstIndex;
    state.lastIndex = this.lastIndex;
    state.history = this.history.slice();
    state.depth = this.depth;
    state.callbackUnrollDepth = this.callbackUnrollDepth;
    state.mayGotoDepth = this.mayGotoDepth;
    state.rcuLocks = this.rcuLocks;
    state.preemptLocks = this.preemptLocks;
    state.locks = this.locks;
    state.irqId = this.irqId;
    state.sleepable = this.sleepable;
    return state;
  }
}

/** The instruction that frame `index` is at: the call it waits for, or the current one. Kernel: bpf_frame_insn_idx(). */
export function frameInsnIndex(state: State, index: number): number {
  return index === state.frames.length - 1 ? state.insnIndex : state.frames[index + 1]!.callSite;
}

/** Replaces every register and spilled register for which `change` returns another one. */
export function mapRegisters(state: State, change: (reg: RegState) => RegState): void {
  for (const frame of state.frames) {
    for (let i = 0; i < frame.registers.length; i++) {
      const reg = frame.registers[i]!;
      const changed = change(reg);
      if (changed !== reg) frame.registers[i] = changed;
    }
    for (let i = 0; i < frame.stack.length; i++) {
      const slot = frame.stack[i]!;
      if (!isSpilled(slot)) continue;
      const changed = change(slot.reg);
      if (changed !== slot.reg) frame.stack[i] = { kinds: slot.kinds, reg: changed };
    }
  }
}

export function registerAt(state: State, place: Place): RegState {
  const frame = state.frames[place.frame]!;
  return place.inRegister ? frame.registers[place.index]! : frame.slot(place.index).reg;
}
export function setRegisterAt(state: State, place: Place, reg: RegState): void {
  const frame = state.frames[place.frame]!;
  if (place.inRegister) frame.registers[place.index] = reg;
  else frame.setSlot(place.index, { kinds: frame.slot(place.index).kinds, reg });
}
