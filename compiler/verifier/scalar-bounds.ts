/**
 * The deductions between the parts of a scalar: bits, 64-bit and 32-bit ranges, signed and unsigned. Works on a draft,
 * which becomes a scalar when nobody changes it any more. Deductions are the kernel's, in its order and as often, since
 * they are no fixpoint and the log shows the result. Kernel: reg_bounds_sync().
 */
import {
  Bounds,
  knownScalar,
  S32_MAX,
  S32_MIN,
  S64_MAX,
  S64_MIN,
  type Scalar,
  U32_MAX,
  U64_MAX,
  UNKNOWN_SCALAR,
} from "./scalar.ts";
import { settleSmall } from "./scalar-small.ts";
import { isTnumMember, type Tnum, tnumIntersect, tnumLow, tnumRange, tnumStep, tnumWithLow } from "./tnum.ts";

const LOW = 0xffff_ffffn;
const HIGH = 0xffff_ffff_0000_0000n;
const S32_MIN_64 = -0x8000_0000n;
const S32_MAX_64 = 0x7fff_ffffn;

const asSigned = (value: bigint): bigint => BigInt.asIntN(64, value);
const asUnsigned = (value: bigint): bigint => BigInt.asUintN(64, value);
const lowUnsigned = (value: bigint): number => Number(value & LOW);
const lowSigned = (value: bigint): number => Number(value & LOW) | 0;
/** The high 32 bits of a signed or unsigned bound, as an unsigned number. */
const highUnsigned = (value: bigint): number => Number((value >> 32n) & LOW);

export const larger = (x: bigint, y: bigint): bigint => (x > y ? x : y);
export const smaller = (x: bigint, y: bigint): bigint => (x < y ? x : y);

/** A copy that may be changed. */
export const draftOf = (a: Scalar): Bounds =>
  new Bounds(a.tnum, a.smin, a.smax, a.umin, a.umax, a.s32min, a.s32max, a.u32min, a.u32max);

/** Forgets the 64-bit ranges. */
export function unbound64(draft: Bounds): void {
  draft.smin = S64_MIN;
  draft.smax = S64_MAX;
  draft.umin = 0n;
  draft.umax = U64_MAX;
}
/** Forgets the 32-bit ranges. */
export function unbound32(draft: Bounds): void {
  draft.s32min = S32_MIN;
  draft.s32max = S32_MAX;
  draft.u32min = 0;
  draft.u32max = U32_MAX;
}

/** Bits and ranges of a draft whose high half is 0 by the instruction set. Kernel: zext_32_to_64(). */
export function zeroExtend(draft: Bounds): void {
  draft.tnum = tnumLow(draft.tnum);
  draft.umin = BigInt(draft.u32min);
  draft.umax = BigInt(draft.u32max);
  const isNonNegative = draft.s32min >= 0 && draft.s32max >= 0;
  draft.smin = isNonNegative ? BigInt(draft.s32min) : 0n;
  draft.smax = isNonNegative ? BigInt(draft.s32max) : LOW;
}

/** Deduces what each part of the draft says of the others, and hands it out as a scalar. */
export function settle(draft: Bounds): Scalar {
  if (isSettledConstant(draft)) return draft;
  return settleSmall(draft) ?? settleAny(draft);
}

function isSettledConstant({ tnum, smin, smax, umin, umax, s32min, s32max, u32min, u32max }: Bounds): boolean {
  if (tnum.mask !== 0n || umin !== umax || umin !== tnum.value || smin !== smax) return false;
  return s32min === s32max && u32min === u32max && (u32min | 0) === s32min;
}

/** settle() without its short ways. */
export function settleAny(draft: Bounds): Scalar {
  narrowByBits(draft);
  // A round is a function of the draft alone: once one changes nothing, the next would not either.
  if (deduce(draft) && deduce(draft)) deduce(draft);
  draft.tnum = bitsOfRanges(draft);
  narrowByBits(draft);
  return isAllUnknown(draft) ? UNKNOWN_SCALAR : draft;
}

function isAllUnknown(draft: Bounds): boolean {
  return (
    draft.tnum.mask === U64_MAX &&
    draft.umax === U64_MAX &&
    draft.umin === 0n &&
    draft.smin === S64_MIN &&
    draft.smax === S64_MAX &&
    draft.u32min === 0 &&
    draft.u32max === U32_MAX &&
    draft.s32min === S32_MIN &&
    draft.s32max === S32_MAX
  );
}

/** Kernel: __update_reg32_bounds(). */
export function narrowByBits32(draft: Bounds): void {
  const value = lowUnsigned(draft.tnum.value);
  const mask = lowUnsigned(draft.tnum.mask);
  draft.s32min = Math.max(draft.s32min, value | (mask & S32_MIN));
  draft.s32max = Math.min(draft.s32max, value | (mask & S32_MAX));
  draft.u32min = Math.max(draft.u32min, value);
  draft.u32max = Math.min(draft.u32max, (value | mask) >>> 0);
}

/** Kernel: __update_reg_bounds(). */
export function narrowByBits(draft: Bounds): void {
  const { value, mask } = draft.tnum;
  if (mask === U64_MAX && draft.umin < draft.umax) return;
  narrowByBits32(draft);
  raiseSmin(draft, asSigned(value | (mask & 0x8000_0000_0000_0000n)));
  lowerSmax(draft, asSigned(value | (mask & S64_MAX)));
  raiseUmin(draft, value);
  lowerUmax(draft, value | mask);
  const only = onlyMemberInRange(draft);
  if (only !== null) Object.assign(draft, knownScalar(only));
}

/** The number that alone has known bits and lies in the unsigned range; null where there may be several. Since 6.18.y. */
function onlyMemberInRange(draft: Bounds): bigint | null {
  const { tnum, umin, umax } = draft;
  const next = tnumStep(tnum, umin);
  if (isTnumMember(tnum, umin)) return next > umax ? umin : null;
  if (next === (tnum.value | tnum.mask)) return next;
  return next <= umax && tnumStep(tnum, next) > umax ? next : null;
}

function raiseSmin(draft: Bounds, bound: bigint): void {
  if (bound > draft.smin) draft.smin = bound;
}
function lowerSmax(draft: Bounds, bound: bigint): void {
  if (bound < draft.smax) draft.smax = bound;
}
function raiseUmin(draft: Bounds, bound: bigint): void {
  if (bound > draft.umin) draft.umin = bound;
}
function lowerUmax(draft: Bounds, bound: bigint): void {
  if (bound < draft.umax) draft.umax = bound;
}

/** One round. Returns whether anything changed. */
function deduce(draft: Bounds): boolean {
  const { tnum, smin, smax, umin, umax, s32min, s32max, u32min, u32max } = draft;
  deduce32From64(draft);
  deduce32(draft);
  deduce64(draft);
  deduce64From32(draft);
  return (
    draft.s32min !== s32min ||
    draft.s32max !== s32max ||
    draft.u32min !== u32min ||
    draft.u32max !== u32max ||
    draft.smin !== smin ||
    draft.smax !== smax ||
    draft.umin !== umin ||
    draft.umax !== umax ||
    draft.tnum !== tnum
  );
}

/**
 * The low halves of a 64-bit range bound the low half of its members where the high half is the same throughout, or
 * where it steps once and the low half goes from negative to positive on the way. Kernel: __reg32_deduce_bounds().
 */
function deduce32From64(draft: Bounds): void {
  deduceFromUnsigned(draft, draft.umin, draft.umax);
  deduceFromSigned(draft, draft.smin, draft.smax);
  deduceAcrossHigh(draft, draft.umin, draft.umax);
  deduceAcrossHigh(draft, draft.smin, draft.smax);
}

function deduceFromUnsigned(draft: Bounds, min: bigint, max: bigint): void {
  if (highUnsigned(min) !== highUnsigned(max)) return;
  narrowU32(draft, lowUnsigned(min), lowUnsigned(max));
  if (lowSigned(min) <= lowSigned(max)) narrowS32(draft, lowSigned(min), lowSigned(max));
}
function deduceFromSigned(draft: Bounds, min: bigint, max: bigint): void {
  if (highUnsigned(min) !== highUnsigned(max)) return;
  // Bounds of an impossible branch may be the wrong way round.
  if (lowUnsigned(min) <= lowUnsigned(max)) narrowU32(draft, lowUnsigned(min), lowUnsigned(max));
  if (lowSigned(min) <= lowSigned(max)) narrowS32(draft, lowSigned(min), lowSigned(max));
}
function deduceAcrossHigh(draft: Bounds, min: bigint, max: bigint): void {
  if ((highUnsigned(min) + 1) >>> 0 !== highUnsigned(max)) return;
  if (lowSigned(min) < 0 && lowSigned(max) >= 0) narrowS32(draft, lowSigned(min), lowSigned(max));
}
function narrowU32(draft: Bounds, min: number, max: number): void {
  if (min > draft.u32min) draft.u32min = min;
  if (max < draft.u32max) draft.u32max = max;
}
function narrowS32(draft: Bounds, min: number, max: number): void {
  if (min > draft.s32min) draft.s32min = min;
  if (max < draft.s32max) draft.s32max = max;
}

/**
 * Signed and unsigned 32-bit ranges teach each other where one does not cross the border that splits the other:
 *
 *     unsigned  0 ─────────────── 2^31 ─────────────── 2^32
 *     signed    0 ────────── max | min ─────────────── -1
 */
function deduce32(draft: Bounds): void {
  if ((draft.u32min | 0) <= (draft.u32max | 0)) narrowS32(draft, draft.u32min | 0, draft.u32max | 0);
  if (draft.s32min >>> 0 <= draft.s32max >>> 0) {
    narrowU32(draft, draft.s32min >>> 0, draft.s32max >>> 0);
  } else if (draft.u32max < draft.s32min >>> 0) {
    // The unsigned range meets only the part of the signed one that is not negative.
    draft.s32min = draft.u32min | 0;
    draft.u32max = Math.min(draft.u32max, draft.s32max >>> 0);
  } else if (draft.s32max >>> 0 < draft.u32min) {
    // It meets only the negative part.
    draft.s32max = draft.u32max | 0;
    draft.u32min = Math.max(draft.u32min, draft.s32min >>> 0);
  }
}

/** The same for 64 bits. Kernel: __reg64_deduce_bounds(). */
function deduce64(draft: Bounds): void {
  const signedMin = asSigned(draft.umin);
  const signedMax = asSigned(draft.umax);
  if (signedMin <= signedMax) {
    raiseSmin(draft, signedMin);
    lowerSmax(draft, signedMax);
  }
  const unsignedMin = asUnsigned(draft.smin);
  const unsignedMax = asUnsigned(draft.smax);
  if (unsignedMin <= unsignedMax) {
    raiseUmin(draft, unsignedMin);
    lowerUmax(draft, unsignedMax);
  } else if (draft.umax < unsignedMin) {
    draft.smin = asSigned(draft.umin);
    lowerUmax(draft, unsignedMax);
  } else if (unsignedMax < draft.umin) {
    draft.smax = asSigned(draft.umax);
    raiseUmin(draft, unsignedMin);
  }
}

/** A 64-bit bound cannot have a low half outside of the 32-bit range. Kernel: __reg_deduce_mixed_bounds(). */
function deduce64From32(draft: Bounds): void {
  if (draft.u32min !== 0 || draft.u32max !== U32_MAX) replaceLowHalves(draft, draft.u32min, draft.u32max);
  if (draft.s32min >>> 0 <= draft.s32max >>> 0) replaceLowHalves(draft, draft.s32min >>> 0, draft.s32max >>> 0);
  // Sign-extended from 32 bits, and those are not negative: the high half is 0.
  if (draft.s32min >= 0 && draft.smin >= S32_MIN_64 && draft.smax <= S32_MAX_64) {
    draft.smin = draft.umin = BigInt(draft.s32min);
    draft.smax = BigInt(draft.s32max);
    draft.umax = asUnsigned(draft.smax);
    const bits = tnumIntersect(draft.tnum, tnumRange(draft.umin, draft.umax));
    if (bits.value !== draft.tnum.value || bits.mask !== draft.tnum.mask) draft.tnum = bits;
  }
}

function replaceLowHalves(draft: Bounds, min: number, max: number): void {
  const low = BigInt(min);
  const high = BigInt(max);
  raiseUmin(draft, (draft.umin & HIGH) | low);
  lowerUmax(draft, (draft.umax & HIGH) | high);
  raiseSmin(draft, ((draft.smin >> 32n) << 32n) | low);
  lowerSmax(draft, ((draft.smax >> 32n) << 32n) | high);
}

/** The bits that the unsigned ranges fix. Kernel: __reg_bound_offset(). */
function bitsOfRanges(draft: Bounds): Tnum {
  const bits = tnumIntersect(draft.tnum, tnumRange(draft.umin, draft.umax));
  const low = tnumIntersect(tnumLow(bits), tnumRange(BigInt(draft.u32min), BigInt(draft.u32max)));
  return tnumWithLow(bits, low);
}

/**
 * What contradicts itself in a settled scalar, in the kernel's words; null for a sound one. Only a branch that cannot be
 * taken leads there. Kernel: reg_bounds_sanity_check().
 */
export function contradiction(a: Scalar): string | null {
  if (a.umin > a.umax || a.smin > a.smax || a.u32min > a.u32max || a.s32min > a.s32max) return "range bounds violation";
  const { value, mask } = a.tnum;
  if (mask === 0n) {
    const signed = asSigned(value);
    if (a.umin !== value || a.umax !== value || a.smin !== signed || a.smax !== signed) {
      return "const tnum out of sync with range bounds";
    }
  }
  if ((mask & LOW) === 0n) {
    const low = lowUnsigned(value);
    const signed = low | 0;
    if (a.u32min !== low || a.u32max !== low || a.s32min !== signed || a.s32max !== signed) {
      return "const subreg tnum out of sync with range bounds";
    }
  }
  return null;
}
