/** Operands of a statement: registers, immediates, places in memory, access types. Each fails with ASM_SYNTAX. */
import * as isa from "../../spec/isa.ts";
import { SIZE_BY_NAME } from "./names.ts";
import type { Cursor } from "./scan.ts";

export interface Register {
  readonly number: number;
  /** `w`: the 32-bit half */
  readonly narrow: boolean;
}

export interface Place {
  readonly register: number;
  readonly off: number;
}

const REGISTER = /^([rw])(\d|1[0-5])$/;

/** r0 … r15: what the encoding holds; above r10 is for the verifier to refuse. */
export function registerOf(word: string): Register | null {
  const match = REGISTER.exec(word);
  return match === null ? null : { number: Number(match[2]), narrow: match[1] === "w" };
}

export function anyRegister(cursor: Cursor): Register {
  const text = cursor.nextText;
  return registerOf(cursor.word("a register")) ?? cursor.fail(`${text} is no register`);
}

export function matchingRegister(cursor: Cursor, narrow: boolean): number {
  const register = anyRegister(cursor);
  if (register.narrow !== narrow) cursor.fail("r and w registers cannot be mixed");
  return register.number;
}

export const wideRegister = (cursor: Cursor): number => matchingRegister(cursor, false);

export function sameRegister(cursor: Cursor, target: Register): void {
  if (matchingRegister(cursor, target.narrow) !== target.number)
    cursor.fail("source and target must be the same register");
}

/** The register of an atomic of 64 bits is an r, of less a w (an r is taken too). */
export function sizedRegister(cursor: Cursor, size: number): number {
  const register = anyRegister(cursor);
  if (register.narrow && size === isa.SIZE.DW) cursor.fail("a 64-bit access takes an r register");
  return register.number;
}

export function sameAtomicRegister(cursor: Cursor, target: Register, size: number): void {
  if (target.narrow && size === isa.SIZE.DW) cursor.fail("a 64-bit access takes an r register");
  if (sizedRegister(cursor, size) !== target.number) cursor.fail("source and target must be the same register");
}

interface Source {
  /** SRC.K or SRC.X */
  readonly opcode: number;
  readonly src: number;
  readonly imm: number;
}

export function parseSource(cursor: Cursor, narrow: boolean): Source {
  if (cursor.peek()?.kind === "word") return { opcode: isa.SRC.X, src: matchingRegister(cursor, narrow), imm: 0 };
  return { opcode: isa.SRC.K, src: 0, imm: immediate(cursor, narrow ? 32 : 64) };
}

/** A 32-bit immediate for an operation of `bits`: where it is 64, the immediate is sign-extended, so it must be signed. */
export function immediate(cursor: Cursor, bits: 32 | 64): number {
  return fitImmediate(cursor, cursor.number("a number"), bits);
}

export function fitImmediate(cursor: Cursor, value: bigint, bits: 32 | 64): number {
  if (value < -0x8000_0000n || value > (bits === 32 ? 0xffff_ffffn : 0x7fff_ffffn))
    cursor.fail(`${value} does not fit the immediate${bits === 64 ? ", which is sign-extended to 64 bits" : ""}`);
  return Number(BigInt.asIntN(32, value));
}

/** `[5]` */
export function index(cursor: Cursor, high: number, low = 0): number {
  cursor.expect("[");
  const value = cursor.numberWithin("index", low, high);
  cursor.expect("]");
  return value;
}

interface AccessType {
  readonly size: number;
  readonly signed: boolean;
}

export function typeName(cursor: Cursor): AccessType {
  const match = /^([us])(8|16|32|64)$/.exec(cursor.word("a type"));
  if (match === null) cursor.fail("the type must be u8, u16, u32, u64, s8, s16 or s32");
  return { size: SIZE_BY_NAME.get(match[2]!)!, signed: match[1] === "s" };
}

/** `(u32 *)`; `letters` says which signs may be. */
export function typeInParens(cursor: Cursor, letters: "u" | "us"): AccessType {
  cursor.expect("(");
  const type = typeName(cursor);
  if (type.signed && letters === "u") cursor.fail("the type must be unsigned");
  cursor.expect("*");
  cursor.expect(")");
  return type;
}

export function atomicSize(cursor: Cursor): number {
  const { size } = typeInParens(cursor, "u");
  if (size !== isa.SIZE.W && size !== isa.SIZE.DW) cursor.fail("an atomic operation is of u32 or u64");
  return size;
}

/** `(r1 + 4)` */
export function placeInParens(cursor: Cursor): Place {
  cursor.expect("(");
  const place = parsePlace(cursor);
  cursor.expect(")");
  return place;
}

/** `r1 + 4`, `r1 - 4`, `r1 + -4`, `r1` */
export function parsePlace(cursor: Cursor): Place {
  const register = wideRegister(cursor);
  if (!isSign(cursor, 0)) return { register, off: 0 };
  const negative = cursor.accept("-");
  if (!negative) cursor.expect("+");
  const value = cursor.number("an offset") * (negative ? -1n : 1n);
  if (value < -0x8000n || value > 0x7fffn) cursor.fail(`offset ${value} does not fit 16 bits`);
  return { register, off: Number(value) };
}

export function isSign(cursor: Cursor, distance: number): boolean {
  const token = cursor.peek(distance);
  return token?.kind === "symbol" && (token.text === "+" || token.text === "-");
}
