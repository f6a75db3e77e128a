/**
 * What is known of a 64-bit value: its bits (tnum) and its range, signed and unsigned, of all 64 and of the low 32 bits.
 * A scalar is never changed once made; states share them. Arithmetic is in scalar-alu.ts, loads and moves of a part in
 * scalar-size.ts, branches in branch.ts, deduction between the ranges in scalar-bounds.ts, the log's notation in
 * scalar-text.ts. Kernel: the value part of struct bpf_reg_state.
 */
import { bitLength, sameTnum, TNUM_UNKNOWN, type Tnum, tnumConst, tnumContains } from "./tnum.ts";

/** 64-bit bounds are bigints: `smin`, `smax` signed, `umin`, `umax` unsigned. 32-bit bounds are numbers. */
export class Bounds {
  tnum: Tnum;
  smin: bigint;
  smax: bigint;
  umin: bigint;
  umax: bigint;
  s32min: number;
  s32max: number;
  u32min: number;
  u32max: number;

  constructor(
    tnum: Tnum,
    smin: bigint,
    smax: bigint,
    umin: bigint,
    umax: bigint,
    s32min: number,
    s32max: number,
    u32min: number,
    u32max: number,
  ) {
    this.tnum = tnum;
    this.smin = smin;
    this.smax = smax;
    this.umin = umin;
    this.umax = umax;
    this.s32min = s32min;
    this.s32max = s32max;
    this.u32min = u32min;
    this.u32max = u32max;
  }
}

export type Scalar = Readonly<Bounds>;

export const S64_MIN = -0x8000_0000_0000_0000n;
export const S64_MAX = 0x7fff_ffff_ffff_ffffn;
export const U64_MAX = 0xffff_ffff_ffff_ffffn;
export const S32_MIN = -0x8000_0000;
export const S32_MAX = 0x7fff_ffff;
export const U32_MAX = 0xffff_ffff;

/** Nothing is known. */
export const UNKNOWN_SCALAR: Scalar = new Bounds(
  TNUM_UNKNOWN,
  S64_MIN,
  S64_MAX,
  0n,
  U64_MAX,
  S32_MIN,
  S32_MAX,
  0,
  U32_MAX,
);

/** Exactly `value`, taken modulo 2^64; a negative number is its two's complement. */
export function knownScalar(value: bigint): Scalar {
  const unsigned = BigInt.asUintN(64, value);
  if (unsigned < BigInt(SMALL.length)) return SMALL[Number(unsigned)]!;
  return makeKnown(unsigned);
}

function makeKnown(unsigned: bigint): Scalar {
  const signed = BigInt.asIntN(64, unsigned);
  const low = Number(unsigned & 0xffff_ffffn);
  return new Bounds(tnumConst(unsigned), signed, signed, unsigned, unsigned, low | 0, low | 0, low, low);
}

/** Offsets, sizes and flags of programs are mostly small: these are made once. */
const SMALL: readonly Scalar[] = Array.from({ length: 256 }, (_, value) => makeKnown(BigInt(value)));

export const ZERO_SCALAR: Scalar = knownScalar(0n);

/** Whether the bits are all known. Bounds agree, but after a branch that cannot be (see branch.ts). */
export const isConstant = (a: Scalar): boolean => a.tnum.mask === 0n;
/** The value, unsigned 64-bit; null where not every bit is known. */
export const constantOf = (a: Scalar): bigint | null => (a.tnum.mask === 0n ? a.tnum.value : null);
export const isZero = (a: Scalar): boolean => a.tnum.mask === 0n && a.tnum.value === 0n;

/** Whether nothing at all is known. */
export const isUnknown = (a: Scalar): boolean => a === UNKNOWN_SCALAR || sameScalar(a, UNKNOWN_SCALAR);

/** Bits of the largest value it can have, 0 … 64. Kernel: get_reg_width(). */
export const bitWidth = (a: Scalar): number => bitLength(a.umax);

/** Whether all that `inner` can be, `outer` can be. Kernel: range_within() and tnum_in(). */
export function contains(outer: Scalar, inner: Scalar): boolean {
  if (outer === inner || outer === UNKNOWN_SCALAR) return true;
  return (
    outer.umin <= inner.umin &&
    outer.umax >= inner.umax &&
    outer.smin <= inner.smin &&
    outer.smax >= inner.smax &&
    outer.u32min <= inner.u32min &&
    outer.u32max >= inner.u32max &&
    outer.s32min <= inner.s32min &&
    outer.s32max >= inner.s32max &&
    tnumContains(outer.tnum, inner.tnum)
  );
}

export function sameScalar(a: Scalar, b: Scalar): boolean {
  return (
    a === b ||
    (a.umin === b.umin &&
      a.umax === b.umax &&
      a.smin === b.smin &&
      a.smax === b.smax &&
      a.u32min === b.u32min &&
      a.u32max === b.u32max &&
      a.s32min === b.s32min &&
      a.s32max === b.s32max &&
      sameTnum(a.tnum, b.tnum))
  );
}
