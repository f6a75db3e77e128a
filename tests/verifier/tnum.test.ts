/** Every operation on bits, exhaustively on all tnums of a few bits: each result of members is a member of the result. */
import { describe, expect, test } from "vitest";
import {
  isTnumAligned,
  isTnumMember,
  type Tnum,
  tnumAdd,
  tnumAnd,
  tnumContains,
  tnumIntersect,
  tnumMul,
  tnumNegate,
  tnumOr,
  tnumRange,
  tnumShiftLeft,
  tnumShiftRight,
  tnumShiftRightSigned,
  tnumShiftRightSigned32,
  tnumStep,
  tnumSub,
  tnumsOverlap,
  tnumUnion,
  tnumXor,
} from "../../compiler/verifier/tnum.ts";

const BITS = 4;
const ALL = allTnums(BITS);

/** Each bit 0, 1 or unknown. */
function allTnums(bits: number): Tnum[] {
  const tnums: Tnum[] = [];
  for (let mask = 0n; mask < 1n << BigInt(bits); mask++) {
    for (let value = 0n; value < 1n << BigInt(bits); value++) if ((value & mask) === 0n) tnums.push({ value, mask });
  }
  return tnums;
}

function members({ value, mask }: Tnum): bigint[] {
  const found: bigint[] = [];
  for (let part = mask; ; part = (part - 1n) & mask) {
    found.push(value | part);
    if (part === 0n) return found;
  }
}

const MEMBERS = new Map(ALL.map((tnum) => [tnum, members(tnum)]));
const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
const text = (a: Tnum): string => `(${a.value.toString(2)}; ${a.mask.toString(2)})`;

const BINARY: readonly (readonly [string, (a: Tnum, b: Tnum) => Tnum, (x: bigint, y: bigint) => bigint])[] = [
  ["add", tnumAdd, (x, y) => x + y],
  ["sub", tnumSub, (x, y) => x - y],
  ["mul", tnumMul, (x, y) => x * y],
  ["and", tnumAnd, (x, y) => x & y],
  ["or", tnumOr, (x, y) => x | y],
  ["xor", tnumXor, (x, y) => x ^ y],
];

describe("on all pairs", () => {
  test.each(BINARY)("%s", (_, abstract, concrete) => {
    for (const a of ALL) {
      for (const b of ALL) {
        const result = abstract(a, b);
        expect(result.value & result.mask).toBe(0n);
        for (const x of MEMBERS.get(a)!) {
          for (const y of MEMBERS.get(b)!) {
            if (!isTnumMember(result, wrap(concrete(x, y)))) expect.fail(`${text(a)} ${text(b)}: ${x} ${y}`);
          }
        }
      }
    }
  });

  test("union, intersection, overlap and containment are those of the sets", () => {
    for (const a of ALL) {
      for (const b of ALL) {
        const [inA, inB] = [MEMBERS.get(a)!, MEMBERS.get(b)!];
        const shared = inA.filter((x) => inB.includes(x));
        const union = tnumUnion(a, b);
        expect([...inA, ...inB].every((x) => isTnumMember(union, x))).toBe(true);
        expect(tnumsOverlap(a, b)).toBe(shared.length > 0);
        expect(tnumContains(a, b)).toBe(shared.length === inB.length);
        if (shared.length > 0) expect(new Set(members(tnumIntersect(a, b)))).toEqual(new Set(shared));
      }
    }
  });
});

describe("on each", () => {
  test("shifts, negation", () => {
    // Also with the sign bits set and unknown.
    const wide = ALL.flatMap((a) => [
      a,
      { value: a.value << 60n, mask: a.mask << 60n },
      { value: a.value << 28n, mask: a.mask << 28n },
    ]);
    for (const a of wide) {
      for (const x of members(a)) {
        expect(isTnumMember(tnumNegate(a), wrap(-x))).toBe(true);
        for (const by of [0n, 1n, 3n, 31n]) {
          expect(isTnumMember(tnumShiftLeft(a, by), wrap(x << by))).toBe(true);
          expect(isTnumMember(tnumShiftRight(a, by), x >> by)).toBe(true);
          expect(isTnumMember(tnumShiftRightSigned(a, by), wrap(BigInt.asIntN(64, x) >> by))).toBe(true);
          const low = BigInt.asUintN(32, BigInt.asIntN(32, x) >> by);
          expect(isTnumMember(tnumShiftRightSigned32(a, by), low)).toBe(true);
        }
      }
    }
  });
  test("a step goes to the next member", () => {
    for (const a of ALL) {
      const sorted = MEMBERS.get(a)!.toSorted((x, y) => Number(x - y));
      for (let than = 0n; than < 20n; than++) {
        expect(tnumStep(a, than), `${text(a)} ${than}`).toBe(sorted.find((x) => x > than) ?? sorted.at(-1));
      }
    }
  });
  test("alignment", () => {
    for (const a of ALL) {
      for (const size of [1n, 2n, 4n, 8n]) {
        expect(isTnumAligned(a, size)).toBe(MEMBERS.get(a)!.every((x) => x % size === 0n));
      }
    }
  });
  test("a range holds what lies between", () => {
    for (const base of [0n, 0xfff_ffff_fff8n, 0xffff_ffff_ffff_ffe0n]) {
      for (let low = base; low < base + 16n; low++) {
        for (let high = low; high < base + 16n; high++) {
          const range = tnumRange(low, high);
          for (let x = low; x <= high; x++) expect(isTnumMember(range, x)).toBe(true);
        }
      }
    }
  });
});
