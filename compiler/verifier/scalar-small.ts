/**
 * The deductions of scalar-bounds.ts for values below 2^31, which is what most programs count, index and mask with. There
 * all ranges are one, and bits and range fit plain numbers. Contradictory drafts are left to the general way. The tests
 * against the kernel's log go through both; scalar.test.ts compares them.
 */
import { type Bounds, knownScalar, type Scalar } from "./scalar.ts";

const LIMIT = 0x7fff_ffff;
const WIDE_LIMIT = 0x7fff_ffffn;
const LOW = 0xffff_ffffn;

/** What settle() makes of the draft, which is not changed; null where this way does not apply. */
export function settleSmall(draft: Bounds): Scalar | null {
  const { tnum, umax, smax, s32max, u32max } = draft;
  if (umax > WIDE_LIMIT || tnum.value > WIDE_LIMIT || smax < 0n || s32max < 0) return null;
  let low = Math.max(Number(draft.umin), clampedToZero(draft.smin), draft.u32min, draft.s32min);
  let high = Math.min(Number(umax), smax > WIDE_LIMIT ? LIMIT : Number(smax), u32max, s32max);
  if (low > high) return null;
  const known = Number(tnum.value);
  const unknown = Number(tnum.mask & LOW) & LIMIT;
  // Bits above the highest in which the ends of the range differ are those of both ends.
  const free = lowOnes(low ^ high);
  if (((known ^ low) & ~(unknown | free)) !== 0) return null;
  const mask = unknown & free;
  const value = (known | (low & ~free)) & ~mask;
  low = Math.max(low, value);
  high = Math.min(high, value | mask);
  if (low > high) return null;
  const first = (low & ~mask) === value ? low : nextMember(value, mask, low);
  const second = nextMember(value, mask, first);
  // One number alone has these bits and lies in the range.
  if (first > high || first === second || second > high) return first > high ? null : knownScalar(BigInt(first));
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

const clampedToZero = (bound: bigint): number => (bound < 0n ? 0 : Number(bound));

/** As many ones as the number has binary digits. */
const lowOnes = (number: number): number => (number === 0 ? 0 : 0xffff_ffff >>> Math.clz32(number));

/** tnumStep() on numbers below 2^31. */
function nextMember(value: number, mask: number, than: number): number {
  const largest = value | mask;
  if (than >= largest) return largest;
  if (than < value) return value;
  const above = than - value;
  const filled = above | lowOnes(above & ~mask) | ~mask;
  return value | ((filled + 1) & mask);
}
