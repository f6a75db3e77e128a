/** Scalars in the notation of the kernel's log: `smin=0,smax=umax=255,var_off=(0x0; 0xff)`. Kernel: log.c. */
import { isConstant, S32_MAX, S32_MIN, S64_MAX, S64_MIN, type Scalar, U32_MAX, U64_MAX } from "./scalar.ts";
import { isTnumUnknown, type Tnum } from "./tnum.ts";

/** Unsigned: decimal up to 16 bits, else hexadecimal. Kernel: verbose_unum(). */
export const unsignedText = (value: bigint): string => (value <= 0xffffn ? `${value}` : hex(value));

/** Of a signed value or its 64-bit two's complement: decimal in 16 bits, else hexadecimal. Kernel: verbose_snum(). */
export function signedText(value: bigint): string {
  const signed = BigInt.asIntN(64, value);
  return signed >= -0x8000n && signed <= 0x7fffn ? `${signed}` : hex(BigInt.asUintN(64, value));
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** A constant, or `(value; mask)`. Kernel: tnum_strn(). */
export const tnumText = (a: Tnum): string =>
  a.mask === 0n ? unsignedText(a.value) : `(${hex(a.value)}; ${hex(a.mask)})`;

/** What is known of the bits, as messages give it after `var_off=`. */
export const maskText = (a: Scalar): string => tnumText(a.tnum);

interface Bound {
  readonly name: string;
  readonly value: bigint;
  readonly isSigned: boolean;
  /** says nothing, or was printed together with an earlier one */
  omit: boolean;
}

/**
 * The attributes between the parentheses of `scalar(…)`, in order: ranges that say something, equal ones merged
 * (`smin=umin=1`), then the bits. Empty for an unknown scalar; a constant is printed as a number by the caller.
 * Kernel: print_scalar_ranges(), print_reg_state().
 */
export function rangeTexts(a: Scalar): string[] {
  const bounds: Bound[] = [
    { name: "smin", value: a.smin, isSigned: true, omit: a.smin === S64_MIN },
    { name: "smax", value: a.smax, isSigned: true, omit: a.smax === S64_MAX },
    { name: "umin", value: a.umin, isSigned: false, omit: a.umin === 0n },
    { name: "umax", value: a.umax, isSigned: false, omit: a.umax === U64_MAX },
    { name: "smin32", value: signed32(a.s32min), isSigned: true, omit: a.s32min === S32_MIN },
    { name: "smax32", value: signed32(a.s32max), isSigned: true, omit: a.s32max === S32_MAX },
    { name: "umin32", value: BigInt(a.u32min), isSigned: false, omit: a.u32min === 0 },
    { name: "umax32", value: BigInt(a.u32max), isSigned: false, omit: a.u32max === U32_MAX },
  ];
  const texts: string[] = [];
  bounds.forEach((bound, index) => {
    if (bound.omit) return;
    let names = `${bound.name}=`;
    // Minima stand at even places, maxima at odd ones: each is merged with its like only.
    for (let other = index + 2; other < bounds.length; other += 2) {
      const like = bounds[other]!;
      if (like.omit || like.value !== bound.value) continue;
      like.omit = true;
      names += `${like.name}=`;
    }
    texts.push(names + (bound.isSigned ? signedText(bound.value) : unsignedText(bound.value)));
  });
  if (!isTnumUnknown(a.tnum)) texts.push(`var_off=${tnumText(a.tnum)}`);
  return texts;
}

/** As signed where that is printed in decimal, else its 32 bits: hexadecimal digits show no sign extension. */
const signed32 = (value: number): bigint => BigInt(value >= -0x8000 && value <= 0x7fff ? value : value >>> 0);

/** A whole scalar without id: `scalar()`, `scalar(umin=1)`, `-5`. */
export const scalarText = (a: Scalar): string =>
  isConstant(a) ? signedText(a.tnum.value) : `scalar(${rangeTexts(a).join(",")})`;
