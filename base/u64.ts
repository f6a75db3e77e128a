/** 64-bit values are `bigint`, unsigned at module borders. */

export const toU64 = (value: bigint): bigint => BigInt.asUintN(64, value);
export const toS64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/** Two unsigned 32-bit halves → unsigned 64 bits. */
export const joinU64 = (low: number, high: number): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
export const lowU32 = (value: bigint): number => Number(value & 0xffff_ffffn);
export const highU32 = (value: bigint): number => Number((value >> 32n) & 0xffff_ffffn);
