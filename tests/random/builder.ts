/** Makes the instructions of a random function, one snippet at a time; keeps what must hold for the kernel to accept them. */
import type { Insn } from "../../compiler/asm/index.ts";
import * as isa from "../../spec/isa.ts";
import type { Random } from "./rng.ts";

/** Scalars all the time; r6 is the memory, r1 a pointer within one snippet, r10 the frame. */
export const SCALARS: readonly number[] = [0, 2, 3, 4, 5, 7, 8, 9];
export const POINTER = 1;
export const MEMORY = 6;
export const FRAME = isa.FRAME_POINTER;

/** Stack: scalars in [fp - 64, fp), a pointer's home below. */
export const STACK_BYTES = 64;
export const SPILL_OFFSET = -72;

/** Memory: programs work in the first part and leave their registers in the second. */
export const WORK_BYTES = 192;
export const MEMORY_BYTES = WORK_BYTES + 64;

const EDGES32 = [0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 127, -128, 255, 32767, -32768, 65535, 0x7fff_ffff, -0x8000_0000];

export class Builder {
  readonly insns: Insn[] = [];
  readonly random: Random;
  /** where the memory begins behind an 8-byte boundary */
  readonly misalign: number;
  /** scalars that a snippet must not write: counters of the loops around it */
  readonly locked = new Set<number>();
  /** calls whose target is not known yet */
  readonly calls: { readonly at: number; readonly callee: number }[] = [];

  constructor(random: Random, misalign: number) {
    this.random = random;
    this.misalign = misalign;
  }

  get length(): number {
    return this.insns.length;
  }
  emit(opcode: number, dst: number, src: number, off: number, imm: number): number {
    this.insns.push({ opcode, dst, src, off, imm });
    return this.insns.length - 1;
  }
  /** Any scalar. */
  read(): number {
    return this.random.pick(SCALARS);
  }
  /** A scalar that may be overwritten. */
  write(): number {
    for (;;) {
      const register = this.random.pick(SCALARS);
      if (!this.locked.has(register)) return register;
    }
  }
  imm32(): number {
    return this.random.oneIn(2) ? this.random.pick(EDGES32) : this.random.u32() | 0;
  }

  moveImm(dst: number, imm: number): void {
    this.emit(isa.CLASS.ALU64 | isa.ALU.MOV | isa.SRC.K, dst, 0, 0, imm);
  }
  move(dst: number, src: number): void {
    this.emit(isa.CLASS.ALU64 | isa.ALU.MOV | isa.SRC.X, dst, src, 0, 0);
  }
  alu64(operation: number, dst: number, imm: number): void {
    this.emit(isa.CLASS.ALU64 | operation | isa.SRC.K, dst, 0, 0, imm);
  }
  addRegister(dst: number, src: number, operation: number = isa.ALU.ADD): void {
    this.emit(isa.CLASS.ALU64 | operation | isa.SRC.X, dst, src, 0, 0);
  }
  wide(dst: number): void {
    const { random } = this;
    const low = random.oneIn(2) ? random.u32() | 0 : this.imm32();
    const high = random.pick([0, -1, 0x7fff_ffff, -0x8000_0000, 1, random.u32() | 0]);
    this.emit(isa.CLASS.LD | isa.MODE.IMM | isa.SIZE.DW, dst, 0, 0, low);
    this.emit(0, 0, 0, 0, high);
  }
  load(size: number, dst: number, base: number, off: number): void {
    this.emit(isa.CLASS.LDX | isa.MODE.MEM | size, dst, base, off, 0);
  }
  store(size: number, base: number, off: number, src: number): void {
    this.emit(isa.CLASS.STX | isa.MODE.MEM | size, base, src, off, 0);
  }
  storeImm(size: number, base: number, off: number, imm: number): void {
    this.emit(isa.CLASS.ST | isa.MODE.MEM | size, base, 0, off, imm);
  }

  /** A jump whose target comes later: the result tells where to `land`. Offsets are 16 bits but in gotol. */
  jump(opcode: number, dst = 0, src = 0, imm = 0): number {
    return this.emit(opcode, dst, src, 0, imm);
  }
  /** The jump at `at` leads to `target`, by default to what is emitted next. */
  land(at: number, target = this.length): void {
    const insn = this.insns[at]!;
    const distance = target - at - 1;
    const isLong = insn.opcode === (isa.CLASS.JMP32 | isa.JMP.JA);
    this.insns[at] = isLong ? { ...insn, imm: distance } : { ...insn, off: distance };
  }
}
