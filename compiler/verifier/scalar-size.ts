/**
 * Parts of a value: what is known of its low 8, 16 or 32 bits, zero- or sign-extended, as loads and moves make them.
 * Kernel: coerce_reg_to_size(), coerce_reg_to_size_sx(), coerce_subreg_to_size_sx(), zext_32_to_64().
 */
import { isConstant, knownScalar, type Scalar, U32_MAX, U64_MAX, UNKNOWN_SCALAR } from "./scalar.ts";
import { draftOf, settle, unbound32, unbound64, zeroExtend } from "./scalar-bounds.ts";
import { TNUM_UNKNOWN, tnumCast, tnumLow, tnumRange, tnumSwapBytes } from "./tnum.ts";

/** The low `size` bytes (1, 2, 4, 8), zero-extended to 64 bits. */
export function coerceToSize(a: Scalar, size: number): Scalar {
  if (size === 8) return a;
  if (a === UNKNOWN_SCALAR) return UNKNOWN_LOADS[size] ?? truncate(a, size);
  return truncate(a, size);
}

function truncate(a: Scalar, size: number): Scalar {
  const bits = size * 8;
  const draft = draftOf(a);
  const width = BigInt(bits);
  draft.tnum = tnumCast(a.tnum, bits);
  const sharesHigh = a.umin >> width === a.umax >> width;
  draft.umin = draft.smin = sharesHigh ? BigInt.asUintN(bits, a.umin) : 0n;
  draft.umax = draft.smax = sharesHigh ? BigInt.asUintN(bits, a.umax) : (1n << width) - 1n;
  if (size < 4) unbound32(draft);
  return settle(draft);
}

/** By size in bytes: what a load from memory of unknown contents gives. */
const UNKNOWN_LOADS: Readonly<Record<number, Scalar>> = {
  1: truncate(UNKNOWN_SCALAR, 1),
  2: truncate(UNKNOWN_SCALAR, 2),
  4: truncate(UNKNOWN_SCALAR, 4),
};

/** The low `size` bytes (1, 2, 4, 8), sign-extended to 64 bits. */
export function coerceToSizeSigned(a: Scalar, size: number): Scalar {
  if (size === 8) return a;
  const bits = size * 8;
  if (isConstant(a)) return knownScalar(BigInt.asIntN(bits, a.tnum.value));
  const draft = draftOf(a);
  const width = BigInt(bits);
  const first = BigInt.asIntN(bits, a.smax);
  const second = BigInt.asIntN(bits, a.smin);
  if (a.smin >> width === a.smax >> width && first >= 0n === second >= 0n) {
    // The truncated ends may have changed places.
    draft.smin = first < second ? first : second;
    draft.smax = first < second ? second : first;
    draft.umin = BigInt.asUintN(64, draft.smin);
    draft.umax = BigInt.asUintN(64, draft.smax);
    draft.s32min = Number(BigInt.asIntN(32, draft.smin));
    draft.s32max = Number(BigInt.asIntN(32, draft.smax));
    draft.u32min = draft.s32min >>> 0;
    draft.u32max = draft.s32max >>> 0;
    draft.tnum = tnumRange(draft.umin, draft.umax);
    return draft;
  }
  const highest = 2 ** (bits - 1) - 1;
  draft.smin = BigInt(-highest - 1);
  draft.smax = BigInt(highest);
  draft.s32min = -highest - 1;
  draft.s32max = highest;
  draft.umin = 0n;
  draft.umax = U64_MAX;
  draft.u32min = 0;
  draft.u32max = U32_MAX;
  draft.tnum = TNUM_UNKNOWN;
  return draft;
}

/** `w1 = w2`: the low half, zero-extended. */
export function moveLow(a: Scalar): Scalar {
  if (isConstant(a)) return knownScalar(BigInt.asUintN(32, a.tnum.value));
  const draft = draftOf(a);
  zeroExtend(draft);
  return settle(draft);
}

/** `w1 = (s8)w2` and `w1 = (s16)w2`: the low `size` bytes (1, 2), sign-extended to 32 bits, the high half 0. */
export function moveLowSigned(a: Scalar, size: number): Scalar {
  const bits = size * 8;
  if (isConstant(a)) return knownScalar(BigInt.asUintN(32, BigInt.asIntN(bits, a.tnum.value)));
  const draft = draftOf(a);
  const shift = 32 - bits;
  const first = (a.s32max << shift) >> shift;
  const second = (a.s32min << shift) >> shift;
  if (a.s32max >>> bits === a.s32min >>> bits && first >= 0 === second >= 0) {
    draft.s32min = Math.min(first, second);
    draft.s32max = Math.max(first, second);
    draft.u32min = draft.s32min >>> 0;
    draft.u32max = draft.s32max >>> 0;
    // The kernel takes the range of the sign-extended values here: the same low bits.
    draft.tnum = tnumLow(tnumRange(BigInt.asUintN(64, BigInt(draft.s32min)), BigInt.asUintN(64, BigInt(draft.s32max))));
  } else {
    const highest = 2 ** (bits - 1) - 1;
    draft.s32min = -highest - 1;
    draft.s32max = highest;
    draft.u32min = 0;
    draft.u32max = U32_MAX;
    draft.tnum = tnumLow(TNUM_UNKNOWN);
  }
  zeroExtend(draft);
  return settle(draft);
}

/**
 * Byte swaps of the low 16, 32 or 64 `bits`, zero-extended: the bits keep what is known of them, ranges do not. Since
 * 6.18.y. Kernel: scalar_byte_swap().
 */
export function swapBytes(a: Scalar, bits: number): Scalar {
  const draft = draftOf(a);
  draft.tnum = tnumSwapBytes(a.tnum, bits);
  unbound32(draft);
  unbound64(draft);
  return bits === 64 ? settle(draft) : coerceToSize(draft, bits / 8);
}

/** Conversion to the byte order that a value has already: the low `bits`, zero-extended. */
export const keepBytes = (a: Scalar, bits: number): Scalar =>
  bits === 64 ? settle(draftOf(a)) : coerceToSize(a, bits / 8);
