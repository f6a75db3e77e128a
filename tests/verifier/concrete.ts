/** What instructions do to values, written for the tests of the scalar domain: no code in common with what they test. */
import { ALU, JMP } from "../../spec/isa.ts";

type Named = readonly [name: string, op: number];

const named = (table: Readonly<Record<string, number>>, names: readonly string[]): Named[] =>
  names.map((name) => [name, table[name]!] as const);

/** Operations that a range may come through. */
export const OPERATIONS = named(ALU, ["ADD", "SUB", "MUL", "OR", "AND", "XOR", "LSH", "RSH", "ARSH", "NEG"]);
export const COMPARISONS = named(JMP, [
  "JEQ",
  "JNE",
  "JSET",
  "JGT",
  "JGE",
  "JLT",
  "JLE",
  "JSGT",
  "JSGE",
  "JSLT",
  "JSLE",
]);

const RESULTS: Readonly<Record<number, (a: bigint, b: bigint, bits: number) => bigint>> = {
  [ALU.ADD]: (a, b) => a + b,
  [ALU.SUB]: (a, b) => a - b,
  [ALU.MUL]: (a, b) => a * b,
  [ALU.OR]: (a, b) => a | b,
  [ALU.AND]: (a, b) => a & b,
  [ALU.XOR]: (a, b) => a ^ b,
  [ALU.LSH]: (a, b, bits) => a << (b % BigInt(bits)),
  [ALU.RSH]: (a, b, bits) => a >> (b % BigInt(bits)),
  [ALU.ARSH]: (a, b, bits) => BigInt.asIntN(bits, a) >> (b % BigInt(bits)),
  [ALU.NEG]: (a) => -a,
};

/** Unsigned 64 bits; in 32 bits the high half is 0. */
export function calculate(op: number, is32: boolean, a: bigint, b: bigint): bigint {
  const bits = is32 ? 32 : 64;
  return BigInt.asUintN(bits, RESULTS[op]!(BigInt.asUintN(bits, a), BigInt.asUintN(bits, b), bits));
}

const OUTCOMES: Readonly<Record<number, (a: bigint, b: bigint, signedA: bigint, signedB: bigint) => boolean>> = {
  [JMP.JEQ]: (a, b) => a === b,
  [JMP.JNE]: (a, b) => a !== b,
  [JMP.JSET]: (a, b) => (a & b) !== 0n,
  [JMP.JGT]: (a, b) => a > b,
  [JMP.JGE]: (a, b) => a >= b,
  [JMP.JLT]: (a, b) => a < b,
  [JMP.JLE]: (a, b) => a <= b,
  [JMP.JSGT]: (_a, _b, a, b) => a > b,
  [JMP.JSGE]: (_a, _b, a, b) => a >= b,
  [JMP.JSLT]: (_a, _b, a, b) => a < b,
  [JMP.JSLE]: (_a, _b, a, b) => a <= b,
};

export function compare(op: number, is32: boolean, a: bigint, b: bigint): boolean {
  const bits = is32 ? 32 : 64;
  return OUTCOMES[op]!(
    BigInt.asUintN(bits, a),
    BigInt.asUintN(bits, b),
    BigInt.asIntN(bits, a),
    BigInt.asIntN(bits, b),
  );
}

/** The low `bits`, sign-extended to 64. */
export const signExtend = (value: bigint, bits: number): bigint => BigInt.asUintN(64, BigInt.asIntN(bits, value));

/** The low `bits` with their bytes in reverse order. */
export function swapped(value: bigint, bits: number): bigint {
  const digits = BigInt.asUintN(bits, value)
    .toString(16)
    .padStart(bits / 4, "0");
  return BigInt(`0x${digits.match(/../g)!.reverse().join("")}`);
}
