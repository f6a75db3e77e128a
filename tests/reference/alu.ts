/**
 * Arithmetic of BPF on unsigned 64-bit bigints, straight from RFC 9669. Written for clarity, with nothing of the lowering
 * in it, so that the two can be compared.
 */
import { ALU } from "../../spec/isa.ts";

export const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** One ALU operation on `bits` bits; both operands are cut to that width, the result is zero-extended. */
export function alu(operation: number, bits: 32 | 64, left: bigint, right: bigint, off: number): bigint {
  const a = BigInt.asUintN(bits, left);
  const b = BigInt.asUintN(bits, right);
  return BigInt.asUintN(bits, compute(operation, bits, a, b, off));
}

function compute(operation: number, bits: 32 | 64, a: bigint, b: bigint, off: number): bigint {
  const shift = b & BigInt(bits - 1);
  switch (operation) {
    case ALU.ADD:
      return a + b;
    case ALU.SUB:
      return a - b;
    case ALU.MUL:
      return a * b;
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
      return BigInt.asIntN(bits, a) >> shift;
    case ALU.NEG:
      return -a;
    case ALU.MOV:
      return off === 0 ? b : BigInt.asIntN(off, b);
    case ALU.DIV:
      if (b === 0n) return 0n;
      return off === 0 ? a / b : BigInt.asIntN(bits, a) / BigInt.asIntN(bits, b);
    case ALU.MOD:
      if (b === 0n) return a;
      return off === 0 ? a % b : BigInt.asIntN(bits, a) % BigInt.asIntN(bits, b);
    default:
      throw new Error(`no ALU operation 0x${operation.toString(16)}`);
  }
}

/** The low `bits` of a value with its bytes in the opposite order. */
export function swapBytes(value: bigint, bits: number): bigint {
  let result = 0n;
  for (let done = 0; done < bits; done += 8) result = (result << 8n) | ((value >> BigInt(done)) & 0xffn);
  return result;
}
