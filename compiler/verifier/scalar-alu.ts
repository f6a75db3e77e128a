/**
 * What arithmetic does to scalars: the transfer function of every ALU operation, in 64 and in 32 bits. Ranges follow the
 * kernel's rules, so that our log equals its. As in 6.18, nothing is known of quotients and remainders.
 * Moves and byte swaps are in scalar-size.ts. Kernel: adjust_scalar_min_max_vals(), scalar_min_max_*(), scalar32_min_max_*().
 */
import { ALU } from "../../spec/isa.ts";
import {
  type Bounds,
  knownScalar,
  S32_MAX,
  S32_MIN,
  S64_MAX,
  S64_MIN,
  type Scalar,
  U32_MAX,
  U64_MAX,
  UNKNOWN_SCALAR,
  ZERO_SCALAR,
} from "./scalar.ts";
import {
  draftOf,
  larger,
  narrowByBits,
  narrowByBits32,
  settle,
  smaller,
  unbound32,
  unbound64,
  zeroExtend,
} from "./scalar-bounds.ts";
import {
  tnumAdd,
  tnumAnd,
  tnumLow,
  tnumMul,
  tnumNegate,
  tnumOr,
  tnumShiftLeft,
  tnumShiftRight,
  tnumShiftRightSigned,
  tnumShiftRightSigned32,
  tnumSub,
  tnumXor,
} from "./tnum.ts";

const LOW = 0xffff_ffffn;

/**
 * `a op b`, both scalars, for ADD SUB MUL OR AND XOR LSH RSH ARSH DIV MOD and NEG (which reads `a` only). `op` is
 * `opcode & 0xf0`; with `is32` the low halves are computed and the result is zero-extended.
 */
export function alu(op: number, is32: boolean, a: Scalar, b: Scalar): Scalar {
  if (!isComputable(op, is32, b)) return UNKNOWN_SCALAR;
  if (isExact(a) && isExact(b)) return knownScalar(compute(op, is32, a.umin, b.umin));
  if (a === UNKNOWN_SCALAR && !is32 && (op === ALU.ADD || op === ALU.SUB || op === ALU.XOR)) return UNKNOWN_SCALAR;
  const draft = draftOf(op === ALU.NEG ? ZERO_SCALAR : a);
  apply(op, is32, draft, op === ALU.NEG ? a : b);
  if (is32) zeroExtend(draft);
  return settle(draft);
}

const isExact = (a: Scalar): boolean => a.tnum.mask === 0n && a.umin === a.umax && a.smin === a.smax;

/** Whether anything is known of the result: a shift needs a known distance. Kernel: is_safe_to_compute_dst_reg_range(). */
function isComputable(op: number, is32: boolean, b: Scalar): boolean {
  switch (op) {
    case ALU.ADD:
    case ALU.SUB:
    case ALU.NEG:
    case ALU.AND:
    case ALU.OR:
    case ALU.XOR:
    case ALU.MUL:
      return true;
    case ALU.LSH:
    case ALU.RSH:
    case ALU.ARSH:
      return is32 ? isLowConstant(b) && b.umax < 32n : isExact(b) && b.umax < 64n;
    default:
      return false;
  }
}

function isLowConstant(b: Scalar): boolean {
  return (b.tnum.mask & LOW) === 0n && b.s32min === b.s32max && b.u32min === b.u32max;
}

function compute(op: number, is32: boolean, a: bigint, b: bigint): bigint {
  const bits = is32 ? 32 : 64;
  const left = BigInt.asUintN(bits, a);
  const right = BigInt.asUintN(bits, b);
  return BigInt.asUintN(bits, computeUnbounded(op, bits, left, right));
}

function computeUnbounded(op: number, bits: number, a: bigint, b: bigint): bigint {
  switch (op) {
    case ALU.ADD:
      return a + b;
    case ALU.SUB:
      return a - b;
    case ALU.NEG:
      return -a;
    case ALU.MUL:
      return a * b;
    case ALU.OR:
      return a | b;
    case ALU.AND:
      return a & b;
    case ALU.XOR:
      return a ^ b;
    case ALU.LSH:
      return a << b;
    case ALU.RSH:
      return a >> b;
    default:
      return BigInt.asIntN(bits, a) >> b;
  }
}

/** Changes `draft` to what is known of `draft op b`; the high half is the caller's for 32 bits. */
function apply(op: number, is32: boolean, draft: Bounds, b: Scalar): void {
  switch (op) {
    case ALU.ADD:
      add(draft, b);
      draft.tnum = tnumAdd(draft.tnum, b.tnum);
      return;
    case ALU.SUB:
      subtract(draft, b);
      draft.tnum = tnumSub(draft.tnum, b.tnum);
      return;
    case ALU.NEG:
      subtract(draft, b);
      draft.tnum = tnumNegate(b.tnum);
      return;
    case ALU.MUL:
      multiply32(draft, b);
      multiply64(draft, b);
      draft.tnum = tnumMul(draft.tnum, b.tnum);
      return;
    case ALU.AND:
      and(draft, b);
      return;
    case ALU.OR:
      or(draft, b);
      return;
    case ALU.XOR:
      xor(draft, b);
      return;
    case ALU.LSH:
      if (is32) shiftLeft32(draft, b.u32min);
      else shiftLeft64(draft, b.umin);
      return;
    case ALU.RSH:
      if (is32) shiftRight32(draft, b.u32min);
      else shiftRight64(draft, b.umin);
      return;
    default:
      if (is32) shiftRightSigned32(draft, b.u32min);
      else shiftRightSigned64(draft, b.umin);
  }
}

/** Sets the range unless it leaves the type. */
function setS64(draft: Bounds, min: bigint, max: bigint): void {
  const fits = min >= S64_MIN && max <= S64_MAX;
  draft.smin = fits ? min : S64_MIN;
  draft.smax = fits ? max : S64_MAX;
}
function setS32(draft: Bounds, min: number, max: number): void {
  const fits = min >= S32_MIN && max <= S32_MAX;
  draft.s32min = fits ? min : S32_MIN;
  draft.s32max = fits ? max : S32_MAX;
}
/** Unsigned sums and differences keep their range also where both ends wrap around, in one direction. */
function setWrappedU64(draft: Bounds, min: bigint, max: bigint): void {
  const together = min >= 0n === max >= 0n && min <= U64_MAX === max <= U64_MAX;
  draft.umin = together ? BigInt.asUintN(64, min) : 0n;
  draft.umax = together ? BigInt.asUintN(64, max) : U64_MAX;
}
function setWrappedU32(draft: Bounds, min: number, max: number): void {
  const together = min >= 0 === max >= 0 && min <= U32_MAX === max <= U32_MAX;
  draft.u32min = together ? min >>> 0 : 0;
  draft.u32max = together ? max >>> 0 : U32_MAX;
}

function add(draft: Bounds, b: Scalar): void {
  setS32(draft, draft.s32min + b.s32min, draft.s32max + b.s32max);
  setWrappedU32(draft, draft.u32min + b.u32min, draft.u32max + b.u32max);
  setS64(draft, draft.smin + b.smin, draft.smax + b.smax);
  setWrappedU64(draft, draft.umin + b.umin, draft.umax + b.umax);
}

function subtract(draft: Bounds, b: Scalar): void {
  setS32(draft, draft.s32min - b.s32max, draft.s32max - b.s32min);
  setWrappedU32(draft, draft.u32min - b.u32max, draft.u32max - b.u32min);
  setS64(draft, draft.smin - b.smax, draft.smax - b.smin);
  setWrappedU64(draft, draft.umin - b.umax, draft.umax - b.umin);
}

/** A product of two 32-bit numbers can leave the 53 bits of a number: computed in 64. */
function multiply32(draft: Bounds, b: Scalar): void {
  const max = BigInt(draft.u32max) * BigInt(b.u32max);
  const fits = max <= LOW;
  const [lowest, highest] = signedProducts(
    BigInt(draft.s32min),
    BigInt(draft.s32max),
    BigInt(b.s32min),
    BigInt(b.s32max),
  );
  draft.u32min = fits ? draft.u32min * b.u32min : 0;
  draft.u32max = fits ? Number(max) : U32_MAX;
  setS32(draft, Number(lowest), Number(highest));
}

function multiply64(draft: Bounds, b: Scalar): void {
  const max = draft.umax * b.umax;
  const fits = max <= U64_MAX;
  const [lowest, highest] = signedProducts(draft.smin, draft.smax, b.smin, b.smax);
  draft.umin = fits ? draft.umin * b.umin : 0n;
  draft.umax = fits ? max : U64_MAX;
  setS64(draft, lowest, highest);
}

/** The extremes are among the products of the ends. */
function signedProducts(aMin: bigint, aMax: bigint, bMin: bigint, bMax: bigint): [lowest: bigint, highest: bigint] {
  let lowest = aMin * bMin;
  let highest = lowest;
  for (const product of [aMin * bMax, aMax * bMin, aMax * bMax]) {
    if (product < lowest) lowest = product;
    if (product > highest) highest = product;
  }
  return [lowest, highest];
}

/** The least value has the bits known to be set; the largest is no larger than either operand. */
function and(draft: Bounds, b: Scalar): void {
  draft.tnum = tnumAnd(draft.tnum, b.tnum);
  const { value } = draft.tnum;
  setUnsigned32(draft, Number(value & LOW), Math.min(draft.u32max, b.u32max));
  setUnsigned64(draft, value, smaller(draft.umax, b.umax));
  narrowByBits(draft);
}

/** No smaller than either operand; the largest value has all bits that may be set. */
function or(draft: Bounds, b: Scalar): void {
  draft.tnum = tnumOr(draft.tnum, b.tnum);
  const largest = draft.tnum.value | draft.tnum.mask;
  setUnsigned32(draft, Math.max(draft.u32min, b.u32min), Number(largest & LOW));
  setUnsigned64(draft, larger(draft.umin, b.umin), largest);
  narrowByBits(draft);
}

/** Only the bits tell. */
function xor(draft: Bounds, b: Scalar): void {
  draft.tnum = tnumXor(draft.tnum, b.tnum);
  const { value, mask } = draft.tnum;
  setUnsigned32(draft, Number(value & LOW), Number((value | mask) & LOW));
  setUnsigned64(draft, value, value | mask);
  narrowByBits(draft);
}

/** An unsigned range is a signed one too where it does not cross the sign border. */
function setUnsigned32(draft: Bounds, min: number, max: number): void {
  draft.u32min = min;
  draft.u32max = max;
  const isOneSided = (min | 0) <= (max | 0);
  draft.s32min = isOneSided ? min | 0 : S32_MIN;
  draft.s32max = isOneSided ? max | 0 : S32_MAX;
}
function setUnsigned64(draft: Bounds, min: bigint, max: bigint): void {
  const signedMin = BigInt.asIntN(64, min);
  const signedMax = BigInt.asIntN(64, max);
  draft.umin = min;
  draft.umax = max;
  draft.smin = signedMin <= signedMax ? signedMin : S64_MIN;
  draft.smax = signedMin <= signedMax ? signedMax : S64_MAX;
}

/** By 0 … 31. Only the bits tell the sign of the result. */
function shiftLeft32(draft: Bounds, distance: number): void {
  shiftRangeLeft32(draft, distance);
  draft.tnum = tnumLow(tnumShiftLeft(tnumLow(draft.tnum), BigInt(distance)));
  unbound64(draft);
  narrowByBits32(draft);
}

/** By 0 … 63. A left shift by 32 keeps the signed order of the low half (programs sign-extend by `<<= 32; s>>= 32`). */
function shiftLeft64(draft: Bounds, distance: bigint): void {
  draft.smin = distance === 32n ? BigInt(draft.s32min) << 32n : S64_MIN;
  draft.smax = distance === 32n ? BigInt(draft.s32max) << 32n : S64_MAX;
  const keepsTopBit = draft.umax <= 1n << (63n - distance);
  draft.umin = keepsTopBit ? draft.umin << distance : 0n;
  draft.umax = keepsTopBit ? draft.umax << distance : U64_MAX;
  shiftRangeLeft32(draft, Number(distance));
  draft.tnum = tnumShiftLeft(draft.tnum, distance);
  narrowByBits(draft);
}

function shiftRangeLeft32(draft: Bounds, distance: number): void {
  draft.s32min = S32_MIN;
  draft.s32max = S32_MAX;
  const keepsTopBit = distance <= 31 && draft.u32max <= 2 ** (31 - distance);
  draft.u32min = keepsTopBit ? (draft.u32min << distance) >>> 0 : 0;
  draft.u32max = keepsTopBit ? (draft.u32max << distance) >>> 0 : U32_MAX;
}

function shiftRight32(draft: Bounds, distance: number): void {
  draft.s32min = S32_MIN;
  draft.s32max = S32_MAX;
  draft.tnum = tnumShiftRight(tnumLow(draft.tnum), BigInt(distance));
  draft.u32min >>>= distance;
  draft.u32max >>>= distance;
  unbound64(draft);
  narrowByBits32(draft);
}

function shiftRight64(draft: Bounds, distance: bigint): void {
  draft.smin = S64_MIN;
  draft.smax = S64_MAX;
  draft.tnum = tnumShiftRight(draft.tnum, distance);
  draft.umin >>= distance;
  draft.umax >>= distance;
  // Bits of the high half move into the low one: the result's bits must tell its range.
  unbound32(draft);
  narrowByBits(draft);
}

function shiftRightSigned32(draft: Bounds, distance: number): void {
  draft.s32min >>= distance;
  draft.s32max >>= distance;
  draft.tnum = tnumShiftRightSigned32(tnumLow(draft.tnum), BigInt(distance));
  draft.u32min = 0;
  draft.u32max = U32_MAX;
  unbound64(draft);
  narrowByBits32(draft);
}

function shiftRightSigned64(draft: Bounds, distance: bigint): void {
  draft.smin >>= distance;
  draft.smax >>= distance;
  draft.tnum = tnumShiftRightSigned(draft.tnum, distance);
  draft.umin = 0n;
  draft.umax = U64_MAX;
  unbound32(draft);
  narrowByBits(draft);
}

/**
 * A mask or a flag: of a value that is 0 or -1, `&` and `|` with a constant are followed on two paths, one for each.
 * Returns the value that the path pushed for later starts over with, and the one that goes on; null where `a` is no such
 * value. Kernel: maybe_fork_scalars().
 */
export function forkMask(op: number, a: Scalar, b: Scalar): { later: Scalar; now: Scalar } | null {
  if ((op !== ALU.AND && op !== ALU.OR) || b.tnum.mask !== 0n) return null;
  if (a.smin === -1n && a.smax === 0n) return { later: ZERO_SCALAR, now: knownScalar(-1n) };
  if (a.s32min === -1 && a.s32max === 0) return { later: withKnownLow(a, 0), now: withKnownLow(a, U32_MAX) };
  return null;
}

/** Kernel: __mark_reg32_known(); the 64-bit ranges are left as they were. */
function withKnownLow(a: Scalar, low: number): Scalar {
  const draft = draftOf(a);
  draft.tnum = { value: (a.tnum.value & ~LOW) | BigInt(low), mask: a.tnum.mask & ~LOW };
  draft.s32min = draft.s32max = low | 0;
  draft.u32min = draft.u32max = low;
  return draft;
}
