/**
 * What is known of registers on the way: pointers whose 32-bit address can be had without the register, from the frame's
 * base, the ctx parameter, a map's global or the local that took a helper's result. It saves putting tags on and taking
 * them off. Only for verified programs; holds along blocks with one predecessor.
 */
import { ALU, ATOMIC, CLASS, FRAME_POINTER, JMP, MODE, PSEUDO_LD, SRC } from "../../spec/isa.ts";
import { type Insn, insnClass, isWideImmediate } from "../asm/instruction.ts";
import type { Program } from "../program.ts";
import type { Temp } from "./frame.ts";

export type Base =
  /** the frame pointer */
  | { readonly kind: "stack" }
  /** main's parameter */
  | { readonly kind: "ctx" }
  | { readonly kind: "map" | "mapValue"; readonly map: number }
  /** holds the address; 0 where the pointer is null */
  | { readonly kind: "local"; readonly local: Temp };

export interface KnownPointer {
  readonly base: Base;
  readonly offsetBytes: number;
}

/** By register; what is not there is not known. r10 is not in it: it is always the frame pointer. */
export type KnownPointers = ReadonlyMap<number, KnownPointer>;

export const NOTHING_KNOWN: KnownPointers = new Map();

const STACK: KnownPointer = { base: { kind: "stack" }, offsetBytes: 0 };
/** Offsets stay small enough that an address plus its offset never leaves the 32 bits of a valid object's neighbourhood. */
const OFFSET_LIMIT = 1 << 20;

export class Knowledge {
  #pointers = new Map<number, KnownPointer>();

  /** Starts a block with what held at the end of another. */
  restore(pointers: KnownPointers): void {
    this.#pointers = new Map(pointers);
  }
  save(): KnownPointers {
    return this.#pointers.size === 0 ? NOTHING_KNOWN : new Map(this.#pointers);
  }

  of(register: number): KnownPointer | null {
    return register === FRAME_POINTER ? STACK : (this.#pointers.get(register) ?? null);
  }

  set(register: number, pointer: KnownPointer | null): void {
    if (pointer === null) this.#pointers.delete(register);
    else this.#pointers.set(register, pointer);
  }

  /** Takes in what an instruction has done to registers, but for the result of a call. */
  follow(program: Program, insn: Insn, insnIndex: number): void {
    switch (insnClass(insn)) {
      case CLASS.ALU:
        this.set(insn.dst, null);
        return;
      case CLASS.ALU64:
        this.set(insn.dst, this.#afterArithmetic(insn));
        return;
      case CLASS.LD:
        if (isWideImmediate(insn)) this.set(insn.dst, afterWideImmediate(program, insn, insnIndex));
        else this.set(0, null);
        return;
      case CLASS.LDX:
        this.set(insn.dst, null);
        return;
      case CLASS.STX:
        if ((insn.opcode & 0xe0) === MODE.ATOMIC) this.#followAtomic(insn);
        return;
      case CLASS.JMP:
        if ((insn.opcode & 0xf0) === JMP.CALL)
          for (let register = 1; register <= 5; register++) this.set(register, null);
        return;
    }
  }

  #afterArithmetic(insn: Insn): KnownPointer | null {
    const operation = insn.opcode & 0xf0;
    const isImmediate = (insn.opcode & SRC.X) === 0;
    if (operation === ALU.MOV && !isImmediate && insn.off === 0) return this.of(insn.src);
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

function afterWideImmediate(program: Program, insn: Insn, insnIndex: number): KnownPointer | null {
  switch (insn.src) {
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
