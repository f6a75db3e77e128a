/** Arithmetic: one ALU or ALU64 instruction → the value of its destination. BPF's rules where Wasm traps or differs. */
import { BugError } from "../../base/errors.ts";
import { ALU, CLASS, SRC } from "../../spec/isa.ts";
import { type Insn, insnClass } from "../asm/instruction.ts";
import type { Expr, Wasm } from "./emit.ts";
import type { Frame } from "./frame.ts";

/** Sets the destination register. */
export function lowerAlu(wasm: Wasm, frame: Frame, insn: Insn): Expr {
  const operation = insn.opcode & 0xf0;
  if (operation === ALU.END) return frame.setReg(insn.dst, swapBytes(wasm, frame, insn));
  return insnClass(insn) === CLASS.ALU64
    ? lower64(wasm, frame, insn, operation)
    : lower32(wasm, frame, insn, operation);
}

function lower64(wasm: Wasm, frame: Frame, insn: Insn, operation: number): Expr {
  const { m } = wasm;
  const { i64 } = m;
  const isImmediate = (insn.opcode & SRC.X) === 0;
  const left = (): Expr => frame.reg(insn.dst);
  const right = (): Expr => (isImmediate ? i64.const(BigInt(insn.imm)) : frame.reg(insn.src));
  const set = (value: Expr): Expr => frame.setReg(insn.dst, value);
  switch (operation) {
    case ALU.ADD:
      return set(i64.add(left(), right()));
    case ALU.SUB:
      return set(i64.sub(left(), right()));
    case ALU.MUL:
      return set(i64.mul(left(), right()));
    case ALU.OR:
      return set(i64.or(left(), right()));
    case ALU.AND:
      return set(i64.and(left(), right()));
    case ALU.XOR:
      return set(i64.xor(left(), right()));
    // Wasm masks shift counts as BPF does.
    case ALU.LSH:
      return set(i64.shl(left(), right()));
    case ALU.RSH:
      return set(i64.shr_u(left(), right()));
    case ALU.ARSH:
      return set(i64.shr_s(left(), right()));
    case ALU.NEG:
      return set(i64.sub(i64.const(0n), left()));
    case ALU.MOV:
      return set(insn.off === 0 ? right() : extend64(wasm, right(), insn.off));
    case ALU.DIV:
    case ALU.MOD: {
      const divide =
        operation === ALU.DIV ? (insn.off === 1 ? i64.div_s : i64.div_u) : insn.off === 1 ? i64.rem_s : i64.rem_u;
      const onZero = (): Expr => (operation === ALU.DIV ? i64.const(0n) : left());
      const onMinusOne = (): Expr => (operation === ALU.DIV ? i64.sub(i64.const(0n), left()) : i64.const(0n));
      if (isImmediate) {
        if (insn.imm === 0) return set(onZero());
        if (insn.off === 1 && insn.imm === -1) return set(onMinusOne());
        return set(divide(left(), right()));
      }
      const quotient =
        insn.off === 1 && operation === ALU.DIV
          ? m.if(i64.eq(right(), i64.const(-1n)), onMinusOne(), divide(left(), right()))
          : divide(left(), right());
      return set(m.if(i64.eqz(right()), onZero(), quotient));
    }
  }
  throw new BugError(`unknown ALU operation ${operation}`);
}

function lower32(wasm: Wasm, frame: Frame, insn: Insn, operation: number): Expr {
  const { m } = wasm;
  const { i32 } = m;
  const isImmediate = (insn.opcode & SRC.X) === 0;
  const left = (): Expr => frame.reg32(insn.dst);
  const right = (): Expr => (isImmediate ? i32.const(insn.imm) : frame.reg32(insn.src));
  const set = (value: Expr): Expr => frame.setReg32(insn.dst, value);
  switch (operation) {
    case ALU.ADD:
      return set(i32.add(left(), right()));
    case ALU.SUB:
      return set(i32.sub(left(), right()));
    case ALU.MUL:
      return set(i32.mul(left(), right()));
    case ALU.OR:
      return set(i32.or(left(), right()));
    case ALU.AND:
      return set(i32.and(left(), right()));
    case ALU.XOR:
      return set(i32.xor(left(), right()));
    case ALU.LSH:
      return set(i32.shl(left(), right()));
    case ALU.RSH:
      return set(i32.shr_u(left(), right()));
    case ALU.ARSH:
      return set(i32.shr_s(left(), right()));
    case ALU.NEG:
      return set(i32.sub(i32.const(0), left()));
    case ALU.MOV:
      return set(insn.off === 8 ? i32.extend8_s(right()) : insn.off === 16 ? i32.extend16_s(right()) : right());
    case ALU.DIV:
    case ALU.MOD: {
      const divide =
        operation === ALU.DIV ? (insn.off === 1 ? i32.div_s : i32.div_u) : insn.off === 1 ? i32.rem_s : i32.rem_u;
      const onZero = (): Expr => (operation === ALU.DIV ? i32.const(0) : left());
      const onMinusOne = (): Expr => (operation === ALU.DIV ? i32.sub(i32.const(0), left()) : i32.const(0));
      if (isImmediate) {
        if (insn.imm === 0) return set(onZero());
        if (insn.off === 1 && insn.imm === -1) return set(onMinusOne());
        return set(divide(left(), right()));
      }
      const quotient =
        insn.off === 1 && operation === ALU.DIV
          ? m.if(i32.eq(right(), i32.const(-1)), onMinusOne(), divide(left(), right()))
          : divide(left(), right());
      return set(m.if(i32.eqz(right()), onZero(), quotient));
    }
  }
  throw new BugError(`unknown ALU operation ${operation}`);
}

/** Sign extension of the low 8, 16 or 32 bits. */
export function extend64(wasm: Wasm, value: Expr, bits: number): Expr {
  const { i64 } = wasm.m;
  return bits === 8 ? i64.extend8_s(value) : bits === 16 ? i64.extend16_s(value) : i64.extend32_s(value);
}

/**
 * class ALU: to little endian (K: cuts off what is above `imm` bits) or to big endian (X: swaps); class ALU64: swaps.
 */
function swapBytes(wasm: Wasm, frame: Frame, insn: Insn): Expr {
  const { i32, i64 } = wasm.m;
  const value = (): Expr => frame.reg(insn.dst);
  if (insnClass(insn) === CLASS.ALU && (insn.opcode & SRC.X) === 0) {
    if (insn.imm === 64) return value();
    return i64.and(value(), i64.const(insn.imm === 32 ? 0xffff_ffffn : 0xffffn));
  }
  if (insn.imm === 64) return swap64(wasm, frame, value());
  if (insn.imm === 32) return i64.extend_u(swap32(wasm, frame, frame.reg32(insn.dst)));
  return i64.extend_u(
    i32.or(
      i32.shl(i32.and(frame.reg32(insn.dst), i32.const(0xff)), i32.const(8)),
      i32.and(i32.shr_u(frame.reg32(insn.dst), i32.const(8)), i32.const(0xff)),
    ),
  );
}

/** Reverses the eight bytes of an i64: bytes in pairs, pairs in words, words. */
function swap64(wasm: Wasm, frame: Frame, value: Expr): Expr {
  const { i64 } = wasm.m;
  const swapped = (whole: Expr, mask: bigint, shift: bigint): Expr => {
    const temp = frame.temp(wasm.i64);
    return i64.or(
      i64.shl(i64.and(temp.tee(whole), i64.const(mask)), i64.const(shift)),
      i64.and(i64.shr_u(temp.get(), i64.const(shift)), i64.const(mask)),
    );
  };
  const pairs = swapped(value, 0x00ff_00ff_00ff_00ffn, 8n);
  return i64.rotl(swapped(pairs, 0x0000_ffff_0000_ffffn, 16n), i64.const(32n));
}

/** Reverses the four bytes of an i32. */
export function swap32(wasm: Wasm, frame: Frame, value: Expr): Expr {
  const { i32 } = wasm.m;
  const word = frame.temp(wasm.i32);
  return i32.or(
    i32.and(i32.rotl(word.tee(value), i32.const(8)), i32.const(0x00ff00ff)),
    i32.and(i32.rotr(word.get(), i32.const(8)), i32.const(0xff00ff00 | 0)),
  );
}
