/** Values, types and calls of the verifier's state in plain words. */
import { helperById } from "../../../spec/helpers.ts";
import { PSEUDO_CALL, SIZE_BYTES } from "../../../spec/isa.ts";
import { calleeOf } from "../../../spec/kfuncs.ts";
import { insnText } from "../disassembly.ts";
import type { Env } from "../env.ts";
import { baseType, FLAG, mayBeNull, REG, type RegState, typeName } from "../register.ts";
import { constantOf, type Scalar, U64_MAX } from "../scalar.ts";

/** `5`, `0 … 31`, `any 64-bit value`. */
export function rangeWords(value: Scalar): string {
  const constant = constantOf(value);
  if (constant !== null) return constantWords(constant);
  const { min, max } = rangeOf(value);
  if (min === 0n && max === U64_MAX) return "anything";
  if (value.smin === -(1n << 63n) && value.umax === U64_MAX) {
    return value.smax === (1n << 63n) - 1n ? "anything" : `${numberWords(value.smax)} or less (also negative)`;
  }
  return `${numberWords(min)} … ${numberWords(max)}`;
}

/** A number that would be negative in 32 bits says so: mostly that is what was meant. */
function constantWords(constant: bigint): string {
  const signed = BigInt.asIntN(64, constant);
  const low = BigInt.asIntN(32, constant);
  const words = numberWords(signed);
  return signed === BigInt.asUintN(32, constant) && low < 0n && low > -0x10000n
    ? `${words} (${low} in 32 bits)`
    : words;
}

/** Smallest and largest value, signed where it can be negative in a bounded way, else unsigned. */
export function rangeOf(value: Scalar): { readonly min: bigint; readonly max: bigint } {
  if (value.smin >= 0n || value.umax < 1n << 63n) return { min: value.umin, max: value.umax };
  if (value.smin > -(1n << 63n) || value.smax < (1n << 63n) - 1n) return { min: value.smin, max: value.smax };
  return { min: value.umin, max: value.umax };
}

/** Large numbers as hexadecimal digits, which show where they come from. */
export function numberWords(value: bigint): string {
  const isLarge = value > 1n << 40n || value < -(1n << 40n);
  return isLarge ? `0x${BigInt.asUintN(64, value).toString(16)}` : String(value);
}

export const plural = (count: number | bigint, one: string): string =>
  `${count} ${one}${Number(count) === 1 ? "" : "s"}`;

/** What a register holds, as the object of a sentence: "a pointer to a value of map `counts`". */
export function holdsWords(reg: RegState): string {
  const orNull = mayBeNull(reg.type) ? " that may be NULL" : "";
  const map = reg.map === null ? "" : ` of map \`${reg.map.name}\``;
  switch (baseType(reg.type)) {
    case REG.NOT_INIT:
      return "nothing";
    case REG.SCALAR: {
      const constant = constantOf(reg.value);
      return constant === null ? "a number" : `the number ${constantWords(constant)}`;
    }
    case REG.CTX:
      return "the context";
    case REG.MAP_PTR:
      return reg.map === null ? "a map" : `map \`${reg.map.name}\``;
    case REG.MAP_VALUE:
      return `a pointer to a value${map}${orNull}`;
    case REG.MAP_KEY:
      return `a pointer to a key${map}`;
    case REG.STACK:
      return "a pointer to the stack";
    case REG.PACKET:
      return "a pointer into the packet";
    case REG.PACKET_META:
      return "a pointer to the packet's metadata";
    case REG.PACKET_END:
      return "the packet's end (`data_end`)";
    case REG.MEM:
      if (reg.type & FLAG.RINGBUF)
        return `a pointer to a ring buffer record of ${plural(reg.memSize, "byte")}${orNull}`;
      if (reg.type & FLAG.PERF) return `a pointer to a perf buffer record of ${plural(reg.memSize, "byte")}${orNull}`;
      return `a pointer to ${plural(reg.memSize, "byte")} of memory${orNull}`;
    case REG.FUNC:
      return "a function";
    case REG.BTF:
      return `a pointer to \`struct ${reg.btf?.nameOf(reg.btfType) ?? "?"}\`${orNull}`;
    case REG.SOCKET:
    case REG.SOCK_COMMON:
    case REG.TCP_SOCK:
    case REG.XDP_SOCK:
      return `a socket${orNull}`;
    default:
      return `a value of type ${typeName(reg.type)}`;
  }
}

/** The memory that a pointer leads to, and how many bytes it has; null where that is not known. */
export function memoryWords(reg: RegState): { readonly name: string; readonly bytes: number } | null {
  switch (baseType(reg.type)) {
    case REG.MAP_VALUE:
      return { name: `a value of map \`${reg.map!.name}\``, bytes: reg.map!.valueSize };
    case REG.MAP_KEY:
      return { name: `a key of map \`${reg.map!.name}\``, bytes: reg.map!.keySize };
    case REG.MEM:
      if (reg.type & FLAG.RINGBUF) return { name: "the ring buffer record", bytes: reg.memSize };
      return { name: "the memory", bytes: reg.memSize };
    default:
      return null;
  }
}

/** Name of what the instruction calls, without parentheses; null where it is no call. */
export function calleeName(env: Env, insnIndex: number): string | null {
  const insn = env.insns[insnIndex];
  if (insn === undefined || insn.opcode !== 0x85) return null;
  if (insn.src === PSEUDO_CALL.HELPER) return helperById(insn.imm)?.name ?? `helper ${insn.imm}`;
  if (insn.src === PSEUDO_CALL.SUBPROG) {
    const start = insnIndex + insn.imm + 1;
    return env.subprograms.find((subprogram) => subprogram.start === start)?.name ?? "a function";
  }
  return calleeOf(insn)?.name ?? /call (\w+)#/.exec(insnText(env, insnIndex))?.[1] ?? "a kernel function";
}

/** Bytes that a load or store moves. */
export const accessBytes = (opcode: number): number => SIZE_BYTES[opcode & 0x18]!;

/** `first`, `second`, … of an argument or register r1 … r5. */
export const ordinal = (number: number): string =>
  ["zeroth", "first", "second", "third", "fourth", "fifth"][number] ?? `${number}th`;
