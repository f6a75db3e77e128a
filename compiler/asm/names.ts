/** Words of the assembly that printer and parser share; derived from spec/isa.ts where the number lives. */
import { ATOMIC, SIZE } from "../../spec/isa.ts";

/** Bits of a load or store by its size field: the digits of `u8` … `u64`. */
export const SIZE_NAMES: Readonly<Record<number, string>> = {
  [SIZE.B]: "8",
  [SIZE.H]: "16",
  [SIZE.W]: "32",
  [SIZE.DW]: "64",
};

export const SIZE_BY_NAME: ReadonlyMap<string, number> = new Map(
  Object.entries(SIZE_NAMES).map(([size, name]) => [name, Number(size)]),
);

/** `atomic_fetch_NAME` by the operation in imm, without FETCH. */
export const ATOMIC_NAMES: Readonly<Record<number, string>> = {
  [ATOMIC.ADD]: "add",
  [ATOMIC.OR]: "or",
  [ATOMIC.AND]: "and",
  [ATOMIC.XOR]: "xor",
};

export const ATOMIC_BY_NAME: ReadonlyMap<string, number> = new Map(
  Object.entries(ATOMIC_NAMES).map(([operation, name]) => [name, Number(operation)]),
);
