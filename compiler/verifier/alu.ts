/** Arithmetic and moves. Kernel: check_alu_op(), adjust_reg_min_max_vals(). */
import { ALU, ALU_SYMBOL, CLASS, SRC } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { assignIdBeforeMove } from "./linked.ts";
import { requireReadable, requireWritable } from "./operands.ts";
import { pushPath } from "./paths.ts";
import { adjustPointer } from "./pointer-arithmetic.ts";
import { requestPrecision } from "./precision.ts";
import { edit, knownReg, LINK, REG, Reg, type RegState, scalarReg, UNKNOWN, withoutId, withValue } from "./register.ts";
import { bitWidth, constantOf, type Scalar, UNKNOWN_SCALAR } from "./scalar.ts";
import { alu, forkMask } from "./scalar-alu.ts";
import { coerceToSizeSigned, keepBytes, moveLow, moveLowSigned, swapBytes } from "./scalar-size.ts";

export function checkAlu(env: Env, insn: Insn): void {
  const operation = insn.opcode & 0xf0;
  if (operation === ALU.NEG || operation === ALU.END) checkUnary(env, insn, operation);
  else if (operation === ALU.MOV) checkMove(env, insn);
  else checkBinary(env, insn, operation);
}

const is64 = (insn: Insn): boolean => (insn.opcode & 7) === CLASS.ALU64;
const fromRegister = (insn: Insn): boolean => (insn.opcode & SRC.X) !== 0;

function checkUnary(env: Env, insn: Insn, operation: number): void {
  if (operation === ALU.NEG) {
    if (fromRegister(insn) || insn.src !== 0 || insn.off !== 0 || insn.imm !== 0) {
      reject(env, "EINVAL", "BPF_NEG uses reserved fields");
    }
  } else if (
    insn.src !== 0 ||
    insn.off !== 0 ||
    ![16, 32, 64].includes(insn.imm) ||
    (is64(insn) && fromRegister(insn))
  ) {
    reject(env, "EINVAL", "BPF_END uses reserved fields");
  }
  requireReadable(env, insn.dst);
  requireWritable(env, insn.dst);
  const reg = env.register(insn.dst);
  if (operation === ALU.NEG && reg.type === REG.SCALAR) {
    env.setRegister(insn.dst, scalarReg(alu(ALU.NEG, !is64(insn), reg.value, reg.value)));
    return;
  }
  if (operation === ALU.END && reg.type === REG.SCALAR) {
    env.setRegister(insn.dst, swapped(insn, reg));
    return;
  }
  env.setRegister(insn.dst, UNKNOWN);
}

/** To little endian is a truncation, and of 64 bits nothing at all: only then the value stays linked to its copies. */
function swapped(insn: Insn, reg: RegState): RegState {
  const swaps = is64(insn) || fromRegister(insn);
  if (swaps) return scalarReg(swapBytes(reg.value, insn.imm));
  const value = keepBytes(reg.value, insn.imm);
  return insn.imm === 64 ? withValue(reg, value) : scalarReg(value);
}

function checkMove(env: Env, insn: Insn): void {
  const wide = is64(insn);
  if (fromRegister(insn)) {
    checkMoveFields(env, insn);
    requireReadable(env, insn.src);
  } else if (insn.src !== 0 || insn.off !== 0) {
    reject(env, "EINVAL", "BPF_MOV uses reserved fields");
  }
  requireWritable(env, insn.dst);
  if (fromRegister(insn)) env.setRegister(insn.dst, moved(env, insn));
  else env.setRegister(insn.dst, knownReg(BigInt.asUintN(wide ? 64 : 32, BigInt(insn.imm))));
}

const ADDRESS_SPACE_CAST = 1;

function checkMoveFields(env: Env, insn: Insn): void {
  if (is64(insn) && insn.off === ADDRESS_SPACE_CAST) {
    if (insn.imm !== 1 && insn.imm !== 1 << 16) {
      reject(env, "EINVAL", "addr_space_cast insn can only convert between address space 1 and 0");
    }
    if (env.arena === null) {
      reject(env, "EINVAL", "addr_space_cast insn can only be used in a program that has an associated arena");
    }
    return;
  }
  const widths = is64(insn) ? [0, 8, 16, 32] : [0, 8, 16];
  if (!widths.includes(insn.off) || insn.imm !== 0) reject(env, "EINVAL", "BPF_MOV uses reserved fields");
}

/** What a move from a register leaves in the destination; an exact copy shares the source's id. */
function moved(env: Env, insn: Insn): RegState {
  const wide = is64(insn);
  if (wide && insn.imm !== 0) return insn.imm === 1 ? ARENA_POINTER : UNKNOWN;
  const source = env.register(insn.src);
  if (source.type !== REG.SCALAR) {
    if (wide && insn.off === 0) return source;
    // A part of a pointer is a number like any other.
    return wide ? UNKNOWN : scalarReg(moveLow(UNKNOWN_SCALAR));
  }
  if (wide && insn.off === 0) return assignIdBeforeMove(env, insn.src);
  const bits = insn.off === 0 ? 32 : insn.off;
  const fits = insn.off === 0 ? bitWidth(source.value) <= 32 : source.value.umax < 1n << BigInt(bits - 1);
  const copy = fits ? assignIdBeforeMove(env, insn.src) : withoutId(source);
  return withValue(copy, movedValue(copy.value, wide, insn.off / 8));
}

/** `signedBytes`: how many low bytes are sign-extended, 0: none. */
function movedValue(value: Scalar, wide: boolean, signedBytes: number): Scalar {
  if (wide) return coerceToSizeSigned(value, signedBytes);
  return signedBytes === 0 ? moveLow(value) : moveLowSigned(value, signedBytes);
}

function checkBinary(env: Env, insn: Insn, operation: number): void {
  checkBinaryFields(env, insn, operation);
  if (fromRegister(insn)) requireReadable(env, insn.src);
  requireReadable(env, insn.dst);
  const divides = operation === ALU.DIV || operation === ALU.MOD;
  if (divides && !fromRegister(insn) && insn.imm === 0) reject(env, "EINVAL", "div by zero");
  const shifts = operation === ALU.LSH || operation === ALU.RSH || operation === ALU.ARSH;
  if (shifts && !fromRegister(insn) && (insn.imm < 0 || insn.imm >= (is64(insn) ? 64 : 32))) {
    reject(env, "EINVAL", `invalid shift ${insn.imm}`);
  }
  requireWritable(env, insn.dst);
  compute(env, insn, operation);
}

function checkBinaryFields(env: Env, insn: Insn, operation: number): void {
  const signed = insn.off === 1 && (operation === ALU.DIV || operation === ALU.MOD);
  const rest = fromRegister(insn) ? insn.imm : insn.src;
  if (rest !== 0 || (insn.off !== 0 && !signed)) reject(env, "EINVAL", "BPF_ALU uses reserved fields");
}

function compute(env: Env, insn: Insn, operation: number): void {
  const destination = env.register(insn.dst);
  if (destination.type === REG.ARENA || (fromRegister(insn) && env.register(insn.src).type === REG.ARENA)) {
    env.setRegister(insn.dst, ARENA_POINTER);
    return;
  }
  if (!fromRegister(insn)) {
    const source = knownReg(BigInt.asUintN(64, BigInt(insn.imm)));
    if (destination.type === REG.SCALAR) computeScalar(env, insn, operation, destination, source);
    else adjustPointer(env, insn, destination, source, true);
    return;
  }
  const source = env.register(insn.src);
  if (destination.type !== REG.SCALAR && source.type !== REG.SCALAR) {
    if (operation !== ALU.SUB) {
      reject(env, "EACCES", `R${insn.dst} pointer ${ALU_SYMBOL[operation]} pointer prohibited`);
    }
    env.setRegister(insn.dst, UNKNOWN);
  } else if (source.type !== REG.SCALAR) {
    requestPrecision(env, insn.dst);
    adjustPointer(env, insn, source, destination, false);
  } else if (destination.type !== REG.SCALAR) {
    requestPrecision(env, insn.src);
    adjustPointer(env, insn, destination, source, true);
  } else {
    if (destination.precise) requestPrecision(env, insn.src);
    computeScalar(env, insn, operation, env.register(insn.dst), env.register(insn.src));
  }
}

/** Whatever is done to a pointer into the arena, it points into the arena: each access is cut to its size. */
const ARENA_POINTER: RegState = new Reg(REG.ARENA, UNKNOWN_SCALAR);

function computeScalar(env: Env, insn: Insn, operation: number, destination: RegState, source: RegState): void {
  const in32Bits = !is64(insn);
  const left = forkOnMask(env, insn, operation, destination, source);
  const result = edit(left);
  result.value = alu(operation, in32Bits, left.value, source.value);
  env.setRegister(insn.dst, linkAfter(insn, operation, destination, source, result));
}

/** An AND or OR with a constant on a mask of all ones or none: both cases are followed. Kernel: maybe_fork_scalars(). */
function forkOnMask(env: Env, insn: Insn, operation: number, destination: RegState, source: RegState): RegState {
  const fork = forkMask(operation, destination.value, source.value);
  if (fork === null) return destination;
  const other = pushPath(env, env.insnIndex, env.insnIndex);
  other.registers[insn.dst] = withValue(destination, fork.later);
  return withValue(destination, fork.now);
}

/** A copy plus a constant stays linked to the original. */
function linkAfter(insn: Insn, operation: number, before: RegState, source: RegState, result: RegState): RegState {
  const isSum = operation === ALU.ADD || operation === ALU.SUB;
  if (!isSum || result.id === 0 || (fromRegister(insn) && insn.src === insn.dst)) return withoutId(result);
  const constant = constantOf(is64(insn) ? source.value : moveLow(source.value));
  if (constant === null || result.link !== LINK.EQUAL) return withoutId(result);
  if (!is64(insn) && before.value.umax > 0xffff_ffffn) return withoutId(result);
  const signed = is64(insn) ? BigInt.asIntN(64, constant) : BigInt.asIntN(32, constant);
  const delta = operation === ALU.SUB ? -signed : signed;
  if (signed !== BigInt.asIntN(32, signed) || delta !== BigInt.asIntN(32, delta)) return withoutId(result);
  const linked = edit(result);
  linked.link = is64(insn) ? LINK.ADD64 : LINK.ADD32;
  linked.delta = Number(delta);
  return linked;
}
