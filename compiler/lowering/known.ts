/**
 * What is known of registers and stack slots on the way. Pointers whose 32-bit address can be had without the register, from
 * the frame's base, the ctx parameter, a map's global or the local that took a helper's result: it saves putting tags on and
 * taking them off. Numbers, for the keys of arrays. Only for verified programs; where paths meet, what all of them know holds.
 */
import { ALU, ATOMIC, CLASS, FRAME_POINTER, JMP, MODE, PSEUDO_LD, REGISTERS, SRC } from "../../spec/isa.ts";
import { type Insn, insnClass, isWideImmediate, wideImmediate } from "../asm/instruction.ts";
import type { Program } from "../program.ts";
import type { Temp } from "./frame.ts";
import type { Slot } from "./slots.ts";

export type Base =
  /** the frame pointer */
  | { readonly kind: "stack" }
  /** main's parameter */
  | { readonly kind: "ctx" }
  | { readonly kind: "map" | "mapValue"; readonly map: number }
  /** holds the address; 0 where the pointer is null, unless it never is */
  | { readonly kind: "local"; readonly local: Temp; readonly neverNull?: true };

export interface KnownPointer {
  readonly base: Base;
  readonly offsetBytes: number;
}

/** A pointer, or a whole register as an unsigned number. */
type Known = KnownPointer | bigint;
/** By register, or by slot behind them; what is not there is not known. r10 is not in it: it is always the frame pointer. */
export type KnownValues = ReadonlyMap<number, Known>;

export const NOTHING_KNOWN: KnownValues = new Map();

/** What holds where paths meet; undefined: a path that is not known yet. */
export function inCommon(paths: readonly (KnownValues | undefined)[]): KnownValues {
  const [first, ...others] = paths;
  if (first === undefined) return NOTHING_KNOWN;
  if (others.length === 0) return first;
  const common = new Map<number, Known>();
  for (const [place, value] of first)
    if (others.every((path) => path !== undefined && isSame(path.get(place), value))) common.set(place, value);
  return common.size === 0 ? NOTHING_KNOWN : common;
}

function isSame(a: Known | undefined, b: Known): boolean {
  if (a === undefined || typeof a === "bigint" || typeof b === "bigint") return a === b;
  return a.offsetBytes === b.offsetBytes && isSameBase(a.base, b.base);
}

function isSameBase(a: Base, b: Base): boolean {
  switch (a.kind) {
    case "stack":
    case "ctx":
      return a.kind === b.kind;
    case "map":
    case "mapValue":
      return a.kind === b.kind && a.map === b.map;
    case "local":
      return a.kind === b.kind && a.local === b.local;
  }
}

const STACK: KnownPointer = { base: { kind: "stack" }, offsetBytes: 0 };
/** Offsets stay small enough that an address plus its offset never leaves the 32 bits of a valid object's neighbourhood. */
export const OFFSET_LIMIT = 1 << 20;

export class Knowledge {
  #values = new Map<number, Known>();

  /** Starts a block with what held at the end of another. */
  restore(values: KnownValues): void {
    this.#values = new Map(values);
  }
  save(): KnownValues {
    return this.#values.size === 0 ? NOTHING_KNOWN : new Map(this.#values);
  }

  /** The pointer in a register. */
  of(register: number): KnownPointer | null {
    if (register === FRAME_POINTER) return STACK;
    const value = this.#values.get(register);
    return typeof value === "object" ? value : null;
  }

  /** The number in a slot, unsigned. */
  numberIn(slot: Slot): bigint | null {
    const value = this.#values.get(REGISTERS + slot.index);
    return typeof value === "bigint" ? BigInt.asUintN(8 * slot.bytes, value) : null;
  }

  set(register: number, value: Known | null): void {
    if (value === null) this.#values.delete(register);
    else this.#values.set(register, value);
  }

  /** Takes in what an instruction has done to registers and to its slot, but for the result of a call. */
  follow(program: Program, insn: Insn, insnIndex: number, slot: Slot | null): void {
    switch (insnClass(insn)) {
      case CLASS.ALU:
        this.set(insn.dst, this.#afterMove32(insn));
        return;
      case CLASS.ALU64:
        this.set(insn.dst, this.#afterArithmetic(insn));
        return;
      case CLASS.LD:
        if (isWideImmediate(insn)) this.set(insn.dst, afterWideImmediate(program, insn, insnIndex));
        else this.set(0, null);
        return;
      case CLASS.LDX:
        this.set(insn.dst, slot?.bytes === 8 ? this.#value(REGISTERS + slot.index) : null);
        return;
      case CLASS.ST:
        if (slot !== null) this.set(REGISTERS + slot.index, BigInt.asUintN(64, BigInt(insn.imm)));
        return;
      case CLASS.STX:
        if ((insn.opcode & 0xe0) === MODE.ATOMIC) this.#followAtomic(insn);
        else if (slot !== null) this.set(REGISTERS + slot.index, this.#afterStore(insn, slot));
        return;
      case CLASS.JMP:
        if ((insn.opcode & 0xf0) === JMP.CALL)
          for (let register = 1; register <= 5; register++) this.set(register, null);
        return;
    }
  }

  #value(place: number): Known | null {
    return this.#values.get(place) ?? null;
  }

  /** A pointer stays known only where the slot takes all of it. */
  #afterStore(insn: Insn, slot: Slot): Known | null {
    const value = this.#value(insn.src);
    return slot.bytes === 8 || typeof value === "bigint" ? value : null;
  }

  #afterMove32(insn: Insn): Known | null {
    if ((insn.opcode & 0xf0) !== ALU.MOV || insn.off !== 0) return null;
    if ((insn.opcode & SRC.X) === 0) return BigInt.asUintN(32, BigInt(insn.imm));
    const value = this.#value(insn.src);
    return typeof value === "bigint" ? BigInt.asUintN(32, value) : null;
  }

  #afterArithmetic(insn: Insn): Known | null {
    const operation = insn.opcode & 0xf0;
    const isImmediate = (insn.opcode & SRC.X) === 0;
    if (operation === ALU.MOV && insn.off === 0) {
      if (isImmediate) return BigInt.asUintN(64, BigInt(insn.imm));
      return this.of(insn.src) ?? this.#value(insn.src);
    }
    if ((operation !== ALU.ADD && operation !== ALU.SUB) || !isImmediate) return null;
    const pointer = this.of(insn.dst);
    if (pointer === null) return null;
    const offsetBytes = pointer.offsetBytes + (operation === ALU.ADD ? insn.imm : -insn.imm);
    return Math.abs(offsetBytes) < OFFSET_LIMIT ? { base: pointer.base, offsetBytes } : null;
  }

  #followAtomic(insn: Insn): void {
    if (insn.imm === ATOMIC.CMPXCHG) this.set(0, null);
    else if (insn.imm === ATOMIC.LOAD_ACQ) this.set(insn.dst, null);
    else if ((insn.imm & ATOMIC.FETCH) !== 0) this.set(insn.src, null);
  }
}

function afterWideImmediate(program: Program, insn: Insn, insnIndex: number): Known | null {
  switch (insn.src) {
    case PSEUDO_LD.NONE:
      return wideImmediate(program.insns, insnIndex);
    case PSEUDO_LD.MAP_FD:
    case PSEUDO_LD.MAP_IDX:
      return { base: { kind: "map", map: insn.imm }, offsetBytes: 0 };
    case PSEUDO_LD.MAP_VALUE:
    case PSEUDO_LD.MAP_IDX_VALUE: {
      const offsetBytes = program.insns[insnIndex + 1]!.imm;
      if (offsetBytes < 0 || offsetBytes >= OFFSET_LIMIT) return null;
      return { base: { kind: "mapValue", map: insn.imm }, offsetBytes };
    }
  }
  return null;
}
