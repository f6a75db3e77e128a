/** A scalar added to or subtracted from a pointer. Kernel: adjust_ptr_min_max_vals(). */
import { ALU, ALU_SYMBOL, CLASS } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { Insn } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import {
  baseType,
  edit,
  FLAG,
  isPacketPointer,
  mayBeNull,
  REG,
  type Reg,
  type RegState,
  typeName,
  UNKNOWN,
} from "./register.ts";
import { constantOf, type Scalar } from "./scalar.ts";
import { alu } from "./scalar-alu.ts";
import { draftOf, settle, unbound32 } from "./scalar-bounds.ts";

const S64_MIN = -(1n << 63n);
const VARIABLE_LIMIT = BigInt(LIMITS.variableOffset);

/** `pointerIsLeft`: the pointer is the destination. */
export function adjustPointer(env: Env, insn: Insn, pointer: RegState, offset: RegState, pointerIsLeft: boolean): void {
  const operation = insn.opcode & 0xf0;
  if (isContradictory(offset)) {
    env.setRegister(insn.dst, UNKNOWN);
    return;
  }
  if ((insn.opcode & 7) !== CLASS.ALU64) {
    if (operation !== ALU.SUB) reject(env, "EACCES", `R${insn.dst} 32-bit pointer arithmetic prohibited`);
    env.setRegister(insn.dst, UNKNOWN);
    return;
  }
  requireMovable(env, insn, pointer, offset, operation);
  // What cannot be trusted is read with care wherever it leads: any operation will do, and offsets are not kept. Linux 6.18
  // takes a number that such a pointer is added to for the number that it was, bounds and all; what it is now nobody knows.
  if (baseType(pointer.type) === REG.MEM && pointer.type & FLAG.UNTRUSTED) {
    env.setRegister(insn.dst, pointerIsLeft ? pointer : UNKNOWN);
    return;
  }
  requireSaneOffset(env, offset, pointer.type);
  requireSaneOffset(env, pointer, pointer.type);
  const result = edit(pointer);
  switch (operation) {
    case ALU.ADD:
      add(env, result, pointer, offset);
      break;
    case ALU.SUB:
      if (!pointerIsLeft) reject(env, "EACCES", `R${insn.dst} tried to subtract pointer from scalar`);
      if (pointer.type === REG.STACK) reject(env, "EACCES", `R${insn.dst} subtraction from stack pointer prohibited`);
      subtract(env, result, pointer, offset);
      break;
    default:
      reject(env, "EACCES", prohibited(insn, operation));
  }
  env.setRegister(insn.dst, result);
  requireSaneOffset(env, result, pointer.type);
}

function prohibited(insn: Insn, operation: number): string {
  const symbol = ALU_SYMBOL[operation];
  const isBitwise = operation === ALU.AND || operation === ALU.OR || operation === ALU.XOR;
  if (isBitwise) return `R${insn.dst} bitwise operator ${symbol} on pointer prohibited`;
  return `R${insn.dst} pointer arithmetic with ${symbol} operator prohibited`;
}

function requireMovable(env: Env, insn: Insn, pointer: RegState, offset: RegState, operation: number): void {
  const name = typeName(pointer.type);
  if (mayBeNull(pointer.type)) {
    reject(env, "EACCES", `R${insn.dst} pointer arithmetic on ${name} prohibited, null-check it first`);
  }
  const constant = constantOf(offset.value);
  switch (baseType(pointer.type)) {
    case REG.CTX:
    case REG.MAP_VALUE:
    case REG.MAP_KEY:
    case REG.STACK:
    case REG.PACKET:
    case REG.PACKET_META:
    case REG.MEM:
    case REG.FUNC:
    case REG.BUF:
    case REG.TP_BUFFER:
    case REG.BTF:
    case REG.DYNPTR:
      return;
    case REG.FLOW_KEYS:
      if (constant !== null) return;
      break;
    case REG.MAP_PTR:
      if (constant === 0n && operation === ALU.ADD) return;
      break;
  }
  reject(env, "EACCES", `R${insn.dst} pointer arithmetic on ${name} prohibited`);
}

/** Kernel: check_reg_sane_offset(). */
function requireSaneOffset(env: Env, reg: RegState, type: number): void {
  const name = typeName(type);
  const constant = constantOf(reg.value);
  const { smin } = reg.value;
  if (constant !== null) {
    const signed = BigInt.asIntN(64, constant);
    if (signed >= VARIABLE_LIMIT || signed <= -VARIABLE_LIMIT) {
      reject(env, "EINVAL", `math between ${name} pointer and ${signed} is not allowed`);
    }
  }
  // The kernel keeps a scalar's distance to what it is linked to in the same field.
  const fixed = reg.type === REG.SCALAR ? reg.delta : reg.off;
  if (Math.abs(fixed) >= LIMITS.variableOffset) {
    reject(env, "EINVAL", `${name} pointer offset ${fixed} is not allowed`);
  }
  if (smin === S64_MIN) {
    reject(env, "EINVAL", `math between ${name} pointer and register with unbounded min value is not allowed`);
  }
  if (smin >= VARIABLE_LIMIT || smin <= -VARIABLE_LIMIT) {
    reject(env, "EINVAL", `value ${smin} makes ${name} pointer be out of bounds`);
  }
}

/** A known offset goes to the fixed part, where it fits 32 bits. */
function add(env: Env, result: Reg, pointer: RegState, offset: RegState): void {
  const fixed = fixedOffset(pointer, offset, 1n);
  if (fixed !== null) {
    result.off = fixed;
    return;
  }
  result.value = moved(ALU.ADD, pointer, offset);
  if (!isPacketPointer(pointer.type)) return;
  result.id = env.newId();
  result.range = 0;
}

function subtract(env: Env, result: Reg, pointer: RegState, offset: RegState): void {
  const fixed = fixedOffset(pointer, offset, -1n);
  if (fixed !== null) {
    result.off = fixed;
    return;
  }
  result.value = moved(ALU.SUB, pointer, offset);
  if (!isPacketPointer(pointer.type)) return;
  result.id = env.newId();
  // Something was added: the proven range does not hold from here.
  if (offset.value.smin < 0n) result.range = 0;
}

/** The variable part; of pointers only the 64-bit ranges are kept up. */
function moved(operation: number, pointer: RegState, offset: RegState): Scalar {
  const draft = draftOf(alu(operation, false, pointer.value, offset.value));
  unbound32(draft);
  return settle(draft);
}

/** The ranges contradict each other: only on a path that cannot be taken. */
function isContradictory({ value }: RegState): boolean {
  if (value.smin > value.smax || value.umin > value.umax) return true;
  return constantOf(value) !== null && (value.smin !== value.smax || value.umin !== value.umax);
}

function fixedOffset(pointer: RegState, offset: RegState, sign: bigint): number | null {
  const constant = constantOf(offset.value);
  if (constant === null) return null;
  const sum = BigInt(pointer.off) + sign * BigInt.asIntN(64, constant);
  return sum === BigInt.asIntN(32, sum) ? Number(sum) : null;
}
