/**
 * The scalar domain loses no value: exhaustively on small ranges around the borders of signed, unsigned, 32 and 64 bits,
 * and on random walks of values and what is known of them, over the whole width.
 */
import { describe, expect, test } from "vitest";
import { isBranchTaken, refine, refineSelf } from "../../compiler/verifier/branch.ts";
import {
  type Bounds,
  contains,
  isConstant,
  isUnknown,
  knownScalar,
  S32_MAX,
  S64_MAX,
  type Scalar,
  sameScalar,
  U32_MAX,
  UNKNOWN_SCALAR,
} from "../../compiler/verifier/scalar.ts";
import { alu } from "../../compiler/verifier/scalar-alu.ts";
import { draftOf, larger, settle, settleAny, smaller } from "../../compiler/verifier/scalar-bounds.ts";
import {
  coerceToSize,
  coerceToSizeSigned,
  moveLow,
  moveLowSigned,
  swapBytes,
} from "../../compiler/verifier/scalar-size.ts";
import { settleSmall } from "../../compiler/verifier/scalar-small.ts";
import { scalarText } from "../../compiler/verifier/scalar-text.ts";
import { ALU, JMP } from "../../spec/isa.ts";
import { Random } from "../random/rng.ts";
import { COMPARISONS, calculate, compare, OPERATIONS, signExtend, swapped } from "./concrete.ts";

/** Where ranges change their nature: 0, and the ends of signed and unsigned 32 and 64 bits. */
const BORDERS = [0n, 0x8000_0000n, 0x1_0000_0000n, 0x8000_0000_0000_0000n];
/** Two numbers on each side of a border. */
const SIDE = 2n;

const WINDOWS = BORDERS.map(rangesAround);

interface Range {
  readonly scalar: Scalar;
  readonly members: readonly bigint[];
}

/** All ranges within the window: those that cross the border too, which are ranges in one signedness only. */
function rangesAround(border: bigint): Range[] {
  const ranges: Range[] = [];
  for (let low = -SIDE; low < SIDE; low++) {
    for (let high = low; high < SIDE; high++) ranges.push(rangeOf(border + low, border + high));
  }
  return ranges;
}

function rangeOf(low: bigint, high: bigint): Range {
  const members: bigint[] = [];
  for (let value = low; value <= high; value++) members.push(BigInt.asUintN(64, value));
  const draft = draftOf(UNKNOWN_SCALAR);
  const [first, last] = [members[0]!, members.at(-1)!];
  if (first <= last) {
    draft.umin = first;
    draft.umax = last;
  }
  if (BigInt.asIntN(64, first) <= BigInt.asIntN(64, last)) {
    draft.smin = BigInt.asIntN(64, first);
    draft.smax = BigInt.asIntN(64, last);
  }
  return { scalar: settle(draft), members };
}

const holds = (scalar: Scalar, value: bigint): boolean => contains(scalar, knownScalar(value));

function expectHeld(scalar: Scalar, value: bigint, what: () => string): void {
  if (!holds(scalar, value)) expect.fail(`0x${value.toString(16)} is not in ${scalarText(scalar)}: ${what()}`);
}

/** Calls `visit` with every pair of ranges of every pair of windows. */
function forAllPairs(visit: (a: Range, b: Range) => void): void {
  for (const first of WINDOWS) for (const second of WINDOWS) for (const a of first) for (const b of second) visit(a, b);
}

describe("ranges around borders", () => {
  test("hold their members", () => {
    for (const range of WINDOWS.flat()) {
      for (const member of range.members) expectHeld(range.scalar, member, () => "made of it");
    }
  });

  test.each(OPERATIONS)("%s holds every result", (_, op) => {
    forAllPairs((a, b) => {
      for (const is32 of [false, true]) {
        const result = alu(op, is32, a.scalar, b.scalar);
        if (isUnknown(result)) continue;
        for (const x of a.members) {
          for (const y of b.members) {
            const value = calculate(op, is32, x, y);
            expectHeld(result, value, () => `${scalarText(a.scalar)} ${op} ${scalarText(b.scalar)}, ${x} ${y} ${is32}`);
          }
        }
      }
    });
  });

  test.each(COMPARISONS)("%s keeps every value that an outcome allows, and is foretold rightly", (_, op) => {
    forAllPairs((a, b) => {
      for (const is32 of [false, true]) checkBranch(op, is32, a, b);
    });
  });

  test("parts of values hold every result", () => {
    for (const { scalar, members } of WINDOWS.flat()) checkParts(scalar, members);
  });
});

function checkBranch(op: number, is32: boolean, a: Range, b: Range): void {
  const known = isBranchTaken(op, is32, a.scalar, b.scalar);
  const edges = known === null ? refine(op, is32, a.scalar, b.scalar) : null;
  for (const x of a.members) {
    for (const y of b.members) {
      const outcome = compare(op, is32, x, y);
      const what = (): string => `${scalarText(a.scalar)} ${op} ${scalarText(b.scalar)}, ${x} ${y} ${is32}: ${outcome}`;
      if (known !== null && known !== outcome) expect.fail(`foretold ${known}: ${what()}`);
      if (edges === null) continue;
      const edge = outcome ? edges.taken : edges.fallthrough;
      expectHeld(edge.a, x, what);
      expectHeld(edge.b, y, what);
    }
  }
}

function checkParts(scalar: Scalar, members: readonly bigint[]): void {
  for (const value of members) {
    const what = (): string => `part of ${scalarText(scalar)}, ${value}`;
    for (const size of [1, 2, 4, 8]) {
      expectHeld(coerceToSize(scalar, size), BigInt.asUintN(size * 8, value), what);
      expectHeld(coerceToSizeSigned(scalar, size), signExtend(value, size * 8), what);
    }
    expectHeld(moveLow(scalar), BigInt.asUintN(32, value), what);
    for (const size of [1, 2]) {
      expectHeld(moveLowSigned(scalar, size), BigInt.asUintN(32, signExtend(value, size * 8)), what);
    }
    for (const bits of [16, 32, 64]) expectHeld(swapBytes(scalar, bits), swapped(value, bits), what);
  }
}

/** A few values, and what is known of them after the same steps. */
interface Walker {
  scalar: Scalar;
  members: bigint[];
}

const WALKS = 200;
const STEPS = 60;
const MEMBERS = 12;

describe("random walks", () => {
  const seed = Number(process.env.SCALAR_SEED ?? 1);
  test(`keep every value, seeds ${seed} … ${seed + WALKS - 1} (SCALAR_SEED)`, () => {
    for (let i = 0; i < WALKS; i++) walk(seed + i);
  });
});

function walk(seed: number): void {
  const random = new Random(seed);
  const walkers = [newWalker(random), newWalker(random)] as const;
  for (let step = 0; step < STEPS; step++) {
    const [a, b] = random.oneIn(2) ? walkers : [walkers[1], walkers[0]];
    if (isUnknown(a.scalar) && random.oneIn(2)) Object.assign(a, newWalker(random));
    if (random.oneIn(2)) calculateStep(random, a, b);
    else branchStep(random, a, b);
    checkParts(a.scalar, a.members.slice(0, 2));
    for (const { scalar, members } of walkers) {
      for (const member of members) expectHeld(scalar, member, () => `seed ${seed}, step ${step}`);
    }
  }
}

/** Values that share some bits, or lie close together. */
function newWalker(random: Random): Walker {
  const base = random.u64() >> BigInt(random.below(64));
  const members = Array.from({ length: MEMBERS }, () => spread(random, base));
  if (random.oneIn(3)) return { scalar: UNKNOWN_SCALAR, members };
  const low = members.reduce(smaller);
  const high = members.reduce(larger);
  const draft = draftOf(UNKNOWN_SCALAR);
  draft.umin = low;
  draft.umax = high;
  return { scalar: settle(draft), members };
}

function spread(random: Random, base: bigint): bigint {
  return BigInt.asUintN(64, base + (random.u64() >> BigInt(random.below(64))));
}

function calculateStep(random: Random, a: Walker, b: Walker): void {
  const op = random.pick(OPERATIONS)[1];
  const is32 = random.oneIn(2);
  const isShift = op === ALU.LSH || op === ALU.RSH || op === ALU.ARSH;
  const constant = isShift ? BigInt(random.below(is32 ? 32 : 64)) : random.oneIn(2) ? immediate(random) : null;
  const operand = constant === null ? b.scalar : knownScalar(constant);
  a.scalar = alu(op, is32, a.scalar, operand);
  a.members = a.members.map((member, i) => calculate(op, is32, member, constant ?? b.members[i % b.members.length]!));
}

/** Follows one outcome with the pairs of values that allow it. Values stay paired by their place. */
function branchStep(random: Random, a: Walker, b: Walker): void {
  const op = random.pick(COMPARISONS)[1];
  const is32 = random.oneIn(2);
  const isSelf = random.oneIn(12);
  const constant = !isSelf && random.oneIn(2) ? immediate(random) : null;
  const operand = isSelf ? a.scalar : constant === null ? b.scalar : knownScalar(constant);
  const pairs = a.members.map((x, i) => [x, isSelf ? x : (constant ?? b.members[i % b.members.length]!)] as const);
  const outcomes = pairs.map(([x, y]) => compare(op, is32, x, y));
  const known = isBranchTaken(op, is32, a.scalar, operand);
  if (known !== null) {
    expect(new Set([...outcomes, known]).size, `${op} of ${scalarText(a.scalar)} and ${scalarText(operand)}`).toBe(1);
    return;
  }
  const outcome = random.pick(outcomes);
  const edges = isSelf ? refineSelf(op, is32, a.scalar) : refine(op, is32, a.scalar, operand);
  const edge = outcome ? edges.taken : edges.fallthrough;
  const kept = pairs.filter((_, i) => outcomes[i] === outcome);
  a.scalar = edge.a;
  a.members = kept.map(([x]) => x);
  if (isSelf || constant !== null) return;
  b.scalar = edge.b;
  b.members = kept.map(([, y]) => y);
}

function immediate(random: Random): bigint {
  const value = random.oneIn(3) ? random.between(-3, 300) : random.u32() >> random.below(32);
  return BigInt.asUintN(64, BigInt(value | 0));
}

describe("constants and unknowns", () => {
  test("operations on constants give the constant", () => {
    const values = [
      0n,
      1n,
      7n,
      0x7fff_ffffn,
      0x8000_0000n,
      0xffff_ffffn,
      0x8000_0000_0000_0000n,
      0xffff_ffff_ffff_ffffn,
    ];
    for (const [name, op] of OPERATIONS) {
      for (const x of values) {
        for (const y of values) {
          const result = alu(op, false, knownScalar(x), knownScalar(y));
          if (!isUnknown(result))
            expect(scalarText(result), name).toBe(scalarText(knownScalar(calculate(op, false, x, y))));
        }
      }
    }
  });
  test("nothing is learned of quotients, remainders and shifts by an unknown distance", () => {
    const byte = coerceToSize(UNKNOWN_SCALAR, 1);
    for (const op of [ALU.DIV, ALU.MOD]) expect(isUnknown(alu(op, true, knownScalar(8n), knownScalar(2n)))).toBe(true);
    for (const op of [ALU.LSH, ALU.RSH, ALU.ARSH]) expect(isUnknown(alu(op, false, knownScalar(8n), byte))).toBe(true);
  });
  test("an equality makes a constant", () => {
    const { taken, fallthrough } = refine(JMP.JEQ, false, coerceToSize(UNKNOWN_SCALAR, 1), knownScalar(255n));
    expect(isConstant(taken.a)).toBe(true);
    expect(scalarText(fallthrough.a)).toBe("scalar(smin=smin32=0,smax=umax=smax32=umax32=254,var_off=(0x0; 0xff))");
  });
});

describe("the short way for values below 2^31", () => {
  const seed = Number(process.env.SCALAR_SEED ?? 1);
  test(`comes out where the long one does, seed ${seed}`, () => {
    const random = new Random(seed);
    let taken = 0;
    for (let i = 0; i < 40_000; i++) {
      const draft = smallDraft(random);
      const short = settleSmall(draft);
      if (short === null) continue;
      taken++;
      const long = settleAny(draftOf(draft));
      if (!sameScalar(short, long)) expect.fail(`${scalarText(draft)}: ${scalarText(short)}, not ${scalarText(long)}`);
    }
    expect(taken).toBeGreaterThan(20_000);
  });
});

/** Bits and ranges that mostly have a number in common, some of them unsettled, some unknown above. */
function smallDraft(random: Random): Bounds {
  const number = (): number =>
    random.oneIn(2) ? random.below(1 << random.between(1, 10)) : random.u32() >>> random.between(1, 31);
  const witness = number();
  const inRange = random.oneIn(10) ? number() : witness;
  const below = (): number => Math.max(0, inRange - number());
  const above = (): number => Math.min(S32_MAX, inRange + number());
  const unknownAbove = random.oneIn(3) ? 0xffff_ffff_0000_0000n : random.oneIn(3) ? 0xffff_ffffn : 0n;
  const mask = BigInt(number()) | unknownAbove;
  const draft = draftOf(UNKNOWN_SCALAR);
  draft.tnum = { value: BigInt(witness) & ~mask, mask };
  draft.umin = BigInt(below());
  draft.umax = BigInt(above());
  if (random.oneIn(2)) {
    draft.smin = BigInt(random.oneIn(2) ? below() : -number());
    draft.smax = random.oneIn(3) ? S64_MAX >> BigInt(random.below(10)) : BigInt(above());
  }
  if (random.oneIn(2)) {
    draft.s32min = random.oneIn(2) ? below() : -number();
    draft.s32max = above();
  }
  if (random.oneIn(2)) {
    draft.u32min = below();
    draft.u32max = random.oneIn(2) ? above() : U32_MAX - random.below(100);
  }
  return draft;
}
