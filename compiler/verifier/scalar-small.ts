/**
 * The deductions of scalar-bounds.ts for values below 2^31, which is what most programs count, index and mask with. There
 * all ranges are one, and bits and range fit plain numbers. Contradictory drafts are left to the general way. The tests
 * against the kernel's log go through both; scalar.test.ts compares them.
 */
import { type Bounds, knownScalar, type Scalar } from "./scalar.ts";
import type { Tnum } from "./tnum.ts";

const LIMIT = 0x7fff_ffff;
const WIDE_LIMIT = 0x7fff_ffffn;
const LOW = 0xffff_ffffn;

/** What settle() makes of the draft, which is not changed; null where this way does not apply. */
export function settleSmall(draft: Bounds): Scalar | null {
  const { tnum, umax, smin, smax, s32max } = draft;
  if (umax > WIDE_LIMIT || tnum.value > WIDE_LIMIT || s32max < 0) return null;
  let low = Math.max(Number(draft.umin), draft.u32min, draft.s32min);
  let high = Math.min(Number(umax), draft.u32max, s32max);
  if (smin >= 0n && smax <= WIDE_LIMIT) {
    low = Math.max(low, Number(smin));
    high = Math.min(high, Number(smax));
  } else if (smin > low || smax < high) {
    // The kernel takes the 32-bit range for the signed 64-bit one here, and forgets what that knew.
    return null;
  }
  const bits = smallBits(tnum);
  low = Math.max(low, bits.value);
  // Also where higher bits are unknown: the signed 32-bit range knows that the low half is not negative.
  high = Math.min(high, bits.value | bits.mask);
  if (low > high) return null;
  const only = onlyMember(bits, Math.max(Number(draft.umin), bits.value), Math.min(Number(umax), bits.largest));
  if (only !== null) return only < low || only > high ? null : knownScalar(BigInt(only));
  // Bits above the highest in which the ends of the range differ are those of both ends.
  const free = lowOnes(low ^ high);
  if (((bits.value ^ low) & ~(bits.mask | free)) !== 0) return null;
  const mask = bits.mask & free;
  const value = (bits.value | (low & ~free)) & ~mask;
  low = Math.max(low, value);
  high = Math.min(high, value | mask);
  if (low > high) return null;
  const known = onlyMember({ value, mask, largest: value | mask }, low, high);
  if (known !== null) return known < low || known > high ? null : knownScalar(BigInt(known));
  const min = BigInt(low);
  const max = BigInt(high);
  return {
    tnum: { value: BigInt(value), mask: BigInt(mask) },
    smin: min,
    smax: max,
    umin: min,
    umax: max,
    s32min: low,
    s32max: high,
    u32min: low,
    u32max: high,
  };
}

/** Known and unknown bits below 2^31. */
interface SmallBits {
  readonly value: number;
  readonly mask: number;
  /** the largest member; infinite where higher bits are unknown */
  readonly largest: number;
}

function smallBits(tnum: Tnum): SmallBits {
  const value = Number(tnum.value);
  const mask = Number(tnum.mask & LOW) & LIMIT;
  return { value, mask, largest: tnum.mask > WIDE_LIMIT ? Number.POSITIVE_INFINITY : value | mask };
}

/** onlyMemberInRange() of scalar-bounds.ts. */
function onlyMember(bits: SmallBits, low: number, high: number): number | null {
  const next = nextMember(bits, low);
  if ((low & ~bits.mask) === bits.value) return next > high ? low : null;
  if (next === bits.largest) return next;
  return next <= high && nextMember(bits, next) > high ? next : null;
}

/** tnumStep() below 2^31. */
function nextMember({ value, mask, largest }: SmallBits, than: number): number {
  if (than >= (value | mask)) return largest;
  if (than < value) return value;
  const above = than - value;
  const filled = above | lowOnes(above & ~mask) | ~mask;
  return value | ((filled + 1) & mask);
}

/** As many ones as the number has binary digits. */
const lowOnes = (number: number): number => (number === 0 ? 0 : 0xffff_ffff >>> Math.clz32(number));
