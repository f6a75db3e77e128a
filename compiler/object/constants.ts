/** Arithmetic and comparisons on known 64-bit values, as BPF defines them: what folding the branches of a program needs. */
import { ALU, CLASS, JMP } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** The result of an ALU instruction, unsigned; null where it is not folded (byte swaps, address space casts). */
export function foldAlu(insn: Insn, before: bigint, operand: bigint): bigint | null {
  const bits = (insn.opcode & 7) === CLASS.ALU64 ? 64 : 32;
  const a = BigInt.asUintN(bits, before);
  const b = BigInt.asUintN(bits, operand);
  const result = fold(insn, a, b, bits);
  return result === null ? null : BigInt.asUintN(bits, result);
}

function fold(insn: Insn, a: bigint, b: bigint, bits: number): bigint | null {
  const signed = (value: bigint) => BigInt.asIntN(bits, value);
  const shift = b & BigInt(bits - 1);
  switch (insn.opcode & 0xf0) {
    case ALU.ADD:
      return a + b;
    case ALU.SUB:
      return a - b;
    case ALU.MUL:
      return a * b;
    case ALU.DIV:
      if (b === 0n) return 0n;
      return insn.off === 1 ? signed(a) / signed(b) : a / b;
    case ALU.MOD:
      if (b === 0n) return a;
      return insn.off === 1 ? signed(a) % signed(b) : a % b;
    case ALU.OR:
      return a | b;
    case ALU.AND:
      return a & b;
    case ALU.XOR:
      return a ^ b;
    case ALU.LSH:
      return a << shift;
    case ALU.RSH:
      return a >> shift;
    case ALU.ARSH:
      return signed(a) >> shift;
    case ALU.NEG:
      return -a;
    case ALU.MOV:
      if (insn.off === 0) return b;
      return insn.off === 8 || insn.off === 16 || insn.off === 32 ? BigInt.asIntN(insn.off, b) : null;
    default:
      return null;
  }
}

/** Whether a conditional jump is taken; null where its operation is none of two values. */
export function foldJump(insn: Insn, left: bigint, right: bigint): boolean | null {
  const bits = (insn.opcode & 7) === CLASS.JMP32 ? 32 : 64;
  const [a, b] = [BigInt.asUintN(bits, left), BigInt.asUintN(bits, right)];
  const [x, y] = [BigInt.asIntN(bits, left), BigInt.asIntN(bits, right)];
  switch (insn.opcode & 0xf0) {
    case JMP.JEQ:
      return a === b;
    case JMP.JNE:
      return a !== b;
    case JMP.JGT:
      return a > b;
    case JMP.JGE:
      return a >= b;
    case JMP.JLT:
      return a < b;
    case JMP.JLE:
      return a <= b;
    case JMP.JSET:
      return (a & b) !== 0n;
    case JMP.JSGT:
      return x > y;
    case JMP.JSGE:
      return x >= y;
    case JMP.JSLT:
      return x < y;
    case JMP.JSLE:
      return x <= y;
    default:
      return null;
  }
}

/** An immediate as the 64-bit operand it is. */
export const operandOf = (imm: number): bigint => u64(BigInt(imm));
