/**
 * Tristate numbers: what is known of each bit of a 64-bit value. A bit is 1 (set in `value`), 0 (set in neither) or
 * unknown (set in `mask`); no bit is set in both. Both halves are unsigned 64-bit. Every operation returns a tnum that
 * holds all results that members of its operands can give.
 *
 *     value  0b1000
 *     mask   0b0011     8, 9, 10 or 11
 *
 * Rules as in the kernel's tnum.c of 6.18, so that equal programs get equal masks in the log.
 */
export interface Tnum {
  readonly value: bigint;
  readonly mask: bigint;
}

const U64 = 0xffff_ffff_ffff_ffffn;
const U32 = 0xffff_ffffn;
const ZERO_VALUE = 0n;

export const TNUM_UNKNOWN: Tnum = { value: ZERO_VALUE, mask: U64 };

/** `value` in unsigned 64 bits. */
export const tnumConst = (value: bigint): Tnum => ({ value, mask: ZERO_VALUE });
export const isTnumUnknown = (a: Tnum): boolean => a.mask === U64;

const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
const make = (value: bigint, mask: bigint): Tnum => ({ value, mask });

/** Number of the highest bit set, counted from 1; 0 for 0. */
export function bitLength(value: bigint): number {
  const high = Number(value >> 32n);
  return high !== 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(Number(value & U32));
}

/** The bits that all values from `min` to `max` share, the rest unknown. */
export function tnumRange(min: bigint, max: bigint): Tnum {
  const bits = bitLength(min ^ max);
  if (bits > 63) return TNUM_UNKNOWN;
  const unknown = (1n << BigInt(bits)) - 1n;
  return make(wrap(min & ~unknown), unknown);
}

export const tnumShiftLeft = (a: Tnum, shift: bigint): Tnum => make(wrap(a.value << shift), wrap(a.mask << shift));
export const tnumShiftRight = (a: Tnum, shift: bigint): Tnum => make(a.value >> shift, a.mask >> shift);
/** Sign-extending; an unknown sign makes the bits that move in unknown. */
export const tnumShiftRightSigned = (a: Tnum, shift: bigint): Tnum =>
  make(wrap(BigInt.asIntN(64, a.value) >> shift), wrap(BigInt.asIntN(64, a.mask) >> shift));
/** The same on the low 32 bits; the high ones of the result are 0. */
export const tnumShiftRightSigned32 = (a: Tnum, shift: bigint): Tnum =>
  make(BigInt.asUintN(32, BigInt.asIntN(32, a.value) >> shift), BigInt.asUintN(32, BigInt.asIntN(32, a.mask) >> shift));

export function tnumAdd(a: Tnum, b: Tnum): Tnum {
  const sum = wrap(a.value + b.value);
  if (a.mask === ZERO_VALUE && b.mask === ZERO_VALUE) return make(sum, ZERO_VALUE);
  // Where adding all unknown bits changes a bit, a carry can reach it.
  const carried = wrap(a.mask + b.mask + sum) ^ sum;
  const unknown = carried | a.mask | b.mask;
  return make(sum & ~unknown, unknown);
}

export function tnumSub(a: Tnum, b: Tnum): Tnum {
  const difference = wrap(a.value - b.value);
  if (a.mask === ZERO_VALUE && b.mask === ZERO_VALUE) return make(difference, ZERO_VALUE);
  const borrowed = wrap(difference + a.mask) ^ wrap(difference - b.mask);
  const unknown = borrowed | a.mask | b.mask;
  return make(difference & ~unknown, unknown);
}

const TNUM_ZERO: Tnum = make(ZERO_VALUE, ZERO_VALUE);
export const tnumNegate = (a: Tnum): Tnum => tnumSub(TNUM_ZERO, a);

export function tnumAnd(a: Tnum, b: Tnum): Tnum {
  const value = a.value & b.value;
  return make(value, (a.value | a.mask) & (b.value | b.mask) & ~value);
}
export function tnumOr(a: Tnum, b: Tnum): Tnum {
  const value = a.value | b.value;
  return make(value, (a.mask | b.mask) & ~value);
}
export function tnumXor(a: Tnum, b: Tnum): Tnum {
  const unknown = a.mask | b.mask;
  return make((a.value ^ b.value) & ~unknown, unknown);
}

/**
 * Long multiplication over the bits of `a`: a known 1 adds the shifted `b`, an unknown bit takes the union of adding and
 * not adding. Not commutative in what it knows. Since 6.18.
 */
export function tnumMul(a: Tnum, b: Tnum): Tnum {
  if (a.mask === ZERO_VALUE && b.mask === ZERO_VALUE) return make(wrap(a.value * b.value), ZERO_VALUE);
  if (bitLength(a.value | a.mask) + bitLength(b.value | b.mask) < 32) return tnumMulSmall(a, b);
  let product = TNUM_ZERO;
  let { value, mask } = a;
  let addend = b;
  while (value !== ZERO_VALUE || mask !== ZERO_VALUE) {
    if (value & 1n) product = tnumAdd(product, addend);
    else if (mask & 1n) product = tnumUnion(product, tnumAdd(product, addend));
    value >>= 1n;
    mask >>= 1n;
    addend = tnumShiftLeft(addend, 1n);
  }
  return product;
}

/** The same where all results are below 2^31, in plain numbers: after k bits of `a` all is below 2^(k + digits of `b`). */
function tnumMulSmall(a: Tnum, b: Tnum): Tnum {
  let value = 0;
  let mask = 0;
  let addendValue = Number(b.value);
  let addendMask = Number(b.mask);
  let known = Number(a.value);
  let unknown = Number(a.mask);
  while (known !== 0 || unknown !== 0) {
    if ((known | unknown) & 1) {
      const sum = value + addendValue;
      const addedMask = ((mask + addendMask + sum) ^ sum) | mask | addendMask;
      const addedValue = sum & ~addedMask;
      const joined = known & 1 ? addedMask : (value ^ addedValue) | mask | addedMask;
      value = known & 1 ? addedValue : value & addedValue & ~joined;
      mask = joined;
    }
    known >>= 1;
    unknown >>= 1;
    addendValue <<= 1;
    addendMask <<= 1;
  }
  return make(BigInt(value), BigInt(mask));
}

/** Holds all members of both. */
export function tnumUnion(a: Tnum, b: Tnum): Tnum {
  const unknown = (a.value ^ b.value) | a.mask | b.mask;
  return make(a.value & b.value & ~unknown, unknown);
}

/** Holds the members that both have. Where a bit is 1 in one and 0 in the other, there is none, and the bit comes out 1. */
export function tnumIntersect(a: Tnum, b: Tnum): Tnum {
  const unknown = a.mask & b.mask;
  return make((a.value | b.value) & ~unknown, unknown);
}

/** Whether some number is a member of both. */
export function tnumsOverlap(a: Tnum, b: Tnum): boolean {
  return ((a.value ^ b.value) & ~(a.mask | b.mask)) === ZERO_VALUE;
}

/** The low `bits` (8, 16, 32), zero-extended. */
export const tnumCast = (a: Tnum, bits: number): Tnum =>
  make(BigInt.asUintN(bits, a.value), BigInt.asUintN(bits, a.mask));

/** The low 32 bits, zero-extended. */
export const tnumLow = (a: Tnum): Tnum => make(a.value & U32, a.mask & U32);

/** `a` with its low 32 bits replaced by those of `low`. */
export const tnumWithLow = (a: Tnum, low: Tnum): Tnum =>
  make((a.value & ~U32) | (low.value & U32), (a.mask & ~U32) | (low.mask & U32));

/** The low `bits` (16, 32, 64) with their bytes in reverse order, zero-extended. */
export const tnumSwapBytes = (a: Tnum, bits: number): Tnum => make(swap(a.value, bits), swap(a.mask, bits));

function swap(value: bigint, bits: number): bigint {
  let swapped = 0n;
  for (let at = 0; at < bits; at += 8) swapped = (swapped << 8n) | ((value >> BigInt(at)) & 0xffn);
  return swapped;
}

/** Whether every member is a multiple of `size`, a power of two. */
export const isTnumAligned = (a: Tnum, size: bigint): boolean => ((a.value | a.mask) & (size - 1n)) === ZERO_VALUE;

/** The smallest member larger than `than`; the largest member where there is none. */
export function tnumStep(a: Tnum, than: bigint): bigint {
  const largest = a.value | a.mask;
  if (than >= largest) return largest;
  if (than < a.value) return a.value;
  // Counts up within the unknown bits: the others are filled with ones, so that a carry passes through them, and so is
  // everything below the highest bit in which `than` exceeds a member, since there the next step starts from zero.
  const above = than - a.value;
  const beyond = above & ~a.mask;
  const filled = above | ((1n << BigInt(bitLength(beyond))) - 1n) | (U64 & ~a.mask);
  return a.value | ((filled + 1n) & a.mask);
}

/** Whether `value` is a member. */
export const isTnumMember = (a: Tnum, value: bigint): boolean => (value & ~a.mask) === a.value;

/** Whether every member of `b` is one of `a`. */
export const tnumContains = (a: Tnum, b: Tnum): boolean =>
  (b.mask & ~a.mask) === ZERO_VALUE && a.value === (b.value & ~a.mask);

export const sameTnum = (a: Tnum, b: Tnum): boolean => a === b || (a.value === b.value && a.mask === b.mask);
