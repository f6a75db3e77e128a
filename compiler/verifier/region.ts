/**
 * Bounds of memory of known size: the smallest and the largest address that the access can have must both fit.
 * Kernel: check_mem_region_access(), __check_mem_access(), check_ptr_alignment().
 */
import { LIMITS } from "../../spec/limits.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { baseType, FLAG, isPacketPointer, REG, type RegState } from "./register.ts";
import { isConstant, type Scalar } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";

const S64_MIN = -(1n << 63n);
const VARIABLE_LIMIT = BigInt(LIMITS.variableOffset);

/** Checks `[off, off + size)` plus the register's variable part against `memoryBytes`. `off` includes the fixed part. */
export function checkRegion(
  env: Env,
  number: number,
  reg: RegState,
  off: number,
  size: number,
  memoryBytes: number,
  zeroAllowed: boolean,
): void {
  const { smin, umax } = reg.value;
  const first = smin + BigInt(off);
  if (smin < 0n && (smin === S64_MIN || first !== BigInt.asIntN(32, first) || first < 0n)) {
    reject(env, "EACCES", `R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`);
  }
  const low = Number(BigInt.asIntN(32, first));
  if (!fits(low, size, memoryBytes, zeroAllowed)) {
    reject(
      env,
      "EACCES",
      outside(number, reg, low, size, memoryBytes),
      `R${number} min value is outside of the allowed memory range`,
    );
  }
  if (umax >= VARIABLE_LIMIT) {
    reject(env, "EACCES", `R${number} unbounded memory access, make sure to bounds check any such access`);
  }
  const high = Number(umax) + off;
  if (!fits(high, size, memoryBytes, zeroAllowed)) {
    reject(
      env,
      "EACCES",
      outside(number, reg, high, size, memoryBytes),
      `R${number} max value is outside of the allowed memory range`,
    );
  }
}

export function fits(off: number, size: number, memoryBytes: number, zeroAllowed: boolean): boolean {
  return off >= 0 && (size > 0 || (size === 0 && zeroAllowed)) && off + size <= memoryBytes;
}

/** What the kernel says of an access outside. Kernel: __check_mem_access(). */
export function outside(number: number, reg: RegState, off: number, size: number, memoryBytes: number): string {
  switch (reg.type) {
    case REG.MAP_KEY:
      return `invalid access to map key, key_size=${memoryBytes} off=${off} size=${size}`;
    case REG.MAP_VALUE:
      return `invalid access to map value, value_size=${memoryBytes} off=${off} size=${size}`;
    case REG.PACKET:
    case REG.PACKET_META:
      return `invalid access to packet, off=${off} size=${size}, R${number}(id=${reg.id},off=${off},r=${memoryBytes})`;
    default:
      return `invalid access to memory, mem_size=${memoryBytes} off=${off} size=${size}`;
  }
}

const ALIGNMENT_NAMES: Readonly<Record<number, string>> = {
  [REG.FLOW_KEYS]: "flow keys ",
  [REG.MAP_KEY]: "key ",
  [REG.MAP_VALUE]: "value ",
  [REG.CTX]: "context ",
  [REG.STACK]: "stack ",
  [REG.SOCKET]: "sock ",
  [REG.SOCK_COMMON]: "sock_common ",
  [REG.TCP_SOCK]: "tcp_sock ",
  [REG.XDP_SOCK]: "xdp_sock ",
};
/** Bytes that the kernel takes a packet to be off alignment by (NET_IP_ALIGN). */
const PACKET_ALIGNMENT = 2;

/** The stack always wants natural alignment, the rest only where `strict`. Kernel: check_ptr_alignment(). */
export function checkAlignment(env: Env, reg: RegState, off: number, size: number, strict: boolean): void {
  if (size === 1 || reg.type === REG.ARENA || !(strict || reg.type === REG.STACK)) return;
  const packet = isPacketPointer(reg.type);
  // The kernel keeps a scalar's distance to what it is linked to in the same place, and adds it here too.
  const regOff = reg.type === REG.SCALAR ? reg.delta : reg.off;
  const fixed = regOff + off + (packet ? PACKET_ALIGNMENT : 0);
  if (multipleOf(reg, fixed) >= size) return;
  const variable = maskText(reg.value);
  if (packet) {
    reject(env, "EACCES", `misaligned packet access off ${PACKET_ALIGNMENT}+${variable}+${regOff}+${off} size ${size}`);
  }
  const name = ALIGNMENT_NAMES[reg.type] ?? "";
  reject(env, "EACCES", `misaligned ${name}access off ${variable}+${regOff}+${off} size ${size}`);
}

/** Largest power of two, at most 8, that divides the variable part plus `fixed`. */
function multipleOf(reg: RegState, fixed: number): number {
  const { value } = reg;
  const freeFrom = isConstant(value) ? 3 : Math.min(3, lowestUnknownBit(value));
  const low = Number(BigInt.asUintN(3, value.tnum.value)) + fixed;
  let power = 1;
  while (power < 1 << freeFrom && (low & (2 * power - 1)) === 0) power *= 2;
  return power;
}

/** Index of the lowest bit that is not known, at most 3. */
function lowestUnknownBit(value: Scalar): number {
  const unknown = Number(BigInt.asUintN(3, value.tnum.mask));
  return unknown === 0 ? 3 : 31 - Math.clz32(unknown & -unknown);
}

/**
 * Largest power of two, at most 8, that surely divides the address of an access. Stack, map values and ring records
 * begin at multiples of 8; contexts and packets lie where their event does, keys and memory where the caller put them.
 */
/** A record's payload follows its size word. */
const PERF_RECORD_ALIGNMENT = 4;

export function knownAlignment(reg: RegState, off: number): number {
  const type = baseType(reg.type);
  const isAligned = type === REG.STACK || type === REG.MAP_VALUE || (type === REG.MEM && reg.refId !== 0);
  if (!isAligned) return 1;
  const alignment = multipleOf(reg, reg.off + off);
  return reg.type & FLAG.PERF ? Math.min(alignment, PERF_RECORD_ALIGNMENT) : alignment;
}
