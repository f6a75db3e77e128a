/**
 * Conditional jumps on scalars: whether the outcome is known before, and what each outcome teaches of both operands.
 * Pointers are not compared here. Kernel: is_scalar_branch_taken(), regs_refine_cond_op(), reg_set_min_max().
 */
import { JMP } from "../../spec/isa.ts";
import type { Bounds, Scalar } from "./scalar.ts";
import { contradiction, draftOf, larger, settle, smaller, unbound32, unbound64 } from "./scalar-bounds.ts";
import { type Tnum, tnumAnd, tnumIntersect, tnumLow, tnumOr, tnumsOverlap, tnumWithLow } from "./tnum.ts";

/** What one outcome teaches of the operands. */
export interface Edge {
  readonly a: Scalar;
  readonly b: Scalar;
}
export interface Edges {
  readonly taken: Edge;
  readonly fallthrough: Edge;
  /**
   * Operands that contradict themselves on an outcome that cannot be, by the kernel's name of them. Their ranges are
   * forgotten, as in the kernel, which follows the path all the same.
   */
  readonly violations: readonly Violation[];
}
export interface Violation {
  readonly name: string;
  readonly reason: string;
  readonly value: Scalar;
}

/**
 * Whether `a op b` is true of all values (true), of none (false), or not known (null). `op` is `opcode & 0xf0`; with
 * `is32` the low halves are compared. Kernel: is_scalar_branch_taken().
 */
export function isBranchTaken(op: number, is32: boolean, a: Scalar, b: Scalar): boolean | null {
  switch (op) {
    case JMP.JEQ:
      return isEqual(is32, a, b);
    case JMP.JNE: {
      const equal = isEqual(is32, a, b);
      return equal === null ? null : !equal;
    }
    case JMP.JSET:
      return isAnyBitShared(is32, a, b);
    case JMP.JGT:
      return is32 ? isLess(b.u32min, b.u32max, a.u32min, a.u32max) : isLess(b.umin, b.umax, a.umin, a.umax);
    case JMP.JLT:
      return is32 ? isLess(a.u32min, a.u32max, b.u32min, b.u32max) : isLess(a.umin, a.umax, b.umin, b.umax);
    case JMP.JGE:
      return is32 ? isAtMost(b.u32min, b.u32max, a.u32min, a.u32max) : isAtMost(b.umin, b.umax, a.umin, a.umax);
    case JMP.JLE:
      return is32 ? isAtMost(a.u32min, a.u32max, b.u32min, b.u32max) : isAtMost(a.umin, a.umax, b.umin, b.umax);
    case JMP.JSGT:
      return is32 ? isLess(b.s32min, b.s32max, a.s32min, a.s32max) : isLess(b.smin, b.smax, a.smin, a.smax);
    case JMP.JSLT:
      return is32 ? isLess(a.s32min, a.s32max, b.s32min, b.s32max) : isLess(a.smin, a.smax, b.smin, b.smax);
    case JMP.JSGE:
      return is32 ? isAtMost(b.s32min, b.s32max, a.s32min, a.s32max) : isAtMost(b.smin, b.smax, a.smin, a.smax);
    case JMP.JSLE:
      return is32 ? isAtMost(a.s32min, a.s32max, b.s32min, b.s32max) : isAtMost(a.smin, a.smax, b.smin, b.smax);
    default:
      return null;
  }
}

function isLess<T extends number | bigint>(aMin: T, aMax: T, bMin: T, bMax: T): boolean | null {
  if (aMax < bMin) return true;
  return aMin >= bMax ? false : null;
}
function isAtMost<T extends number | bigint>(aMin: T, aMax: T, bMin: T, bMax: T): boolean | null {
  if (aMax <= bMin) return true;
  return aMin > bMax ? false : null;
}

function isEqual(is32: boolean, a: Scalar, b: Scalar): boolean | null {
  const aBits = is32 ? tnumLow(a.tnum) : a.tnum;
  const bBits = is32 ? tnumLow(b.tnum) : b.tnum;
  if (aBits.mask === 0n && bBits.mask === 0n) return aBits.value === bBits.value;
  if (!tnumsOverlap(aBits, bBits)) return false;
  // Where the low halves cannot be equal, the whole values cannot.
  if (a.u32min > b.u32max || a.u32max < b.u32min || a.s32min > b.s32max || a.s32max < b.s32min) return false;
  if (is32) return null;
  if (a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin) return false;
  return null;
}

function isAnyBitShared(is32: boolean, a: Scalar, b: Scalar): boolean | null {
  const constant = constantBits(is32, b) ?? constantBits(is32, a);
  if (constant === null) return null;
  const { value, mask } = constantBits(is32, b) === null ? b.tnum : a.tnum;
  if ((value & constant) !== 0n) return true;
  return ((value | mask) & constant) === 0n ? false : null;
}

/** The value (its low half with `is32`) where all of it is known. */
function constantBits(is32: boolean, a: Scalar): bigint | null {
  const { value, mask } = is32 ? tnumLow(a.tnum) : a.tnum;
  return mask === 0n ? value : null;
}

/** What both outcomes of `a op b` teach, for a jump that isBranchTaken() leaves open. Kernel: reg_set_min_max(). */
export function refine(op: number, is32: boolean, a: Scalar, b: Scalar): Edges {
  const violations: Violation[] = [];
  const taken = refineEdge(op, is32, a, b);
  const fallthrough = refineEdge(NEGATED[op]!, is32, a, b);
  // The kernel's order, in which its log names them.
  return {
    taken: { a: soundOr(violations, "true_reg1", taken.a), b: soundOr(violations, "true_reg2", taken.b) },
    fallthrough: {
      a: soundOr(violations, "false_reg1", fallthrough.a),
      b: soundOr(violations, "false_reg2", fallthrough.b),
    },
    violations,
  };
}

/**
 * The same for a register compared with itself. The kernel of 6.18 does not know that it is, and narrows one register in
 * both roles, so that an impossible outcome leaves strange ranges. Both operands of an edge are that one register.
 */
export function refineSelf(op: number, is32: boolean, a: Scalar): Edges {
  const violations: Violation[] = [];
  const taken = refineSelfEdge(op, is32, a);
  const fallthrough = refineSelfEdge(NEGATED[op]!, is32, a);
  const takenOnce = soundOr(violations, "true_reg1", taken);
  const takenTwice = soundOr(violations, "true_reg2", takenOnce);
  const fallenOnce = soundOr(violations, "false_reg1", fallthrough);
  const fallenTwice = soundOr(violations, "false_reg2", fallenOnce);
  return {
    taken: { a: takenTwice, b: takenTwice },
    fallthrough: { a: fallenTwice, b: fallenTwice },
    violations,
  };
}

function soundOr(violations: Violation[], name: string, value: Scalar): Scalar {
  const reason = contradiction(value);
  if (reason === null) return value;
  violations.push({ name, reason, value });
  return forgetRanges(value);
}

function forgetRanges(value: Scalar): Scalar {
  const draft = draftOf(value);
  unbound32(draft);
  unbound64(draft);
  return draft;
}

/** `a & b` is zero: no operation of the instruction set. */
const NOT_JSET = 0x100;

/** The operation that is true exactly where this one is false. */
const NEGATED: Readonly<Record<number, number>> = {
  [JMP.JEQ]: JMP.JNE,
  [JMP.JNE]: JMP.JEQ,
  [JMP.JSET]: NOT_JSET,
  [JMP.JGE]: JMP.JLT,
  [JMP.JGT]: JMP.JLE,
  [JMP.JLE]: JMP.JGT,
  [JMP.JLT]: JMP.JGE,
  [JMP.JSGE]: JMP.JSLT,
  [JMP.JSGT]: JMP.JSLE,
  [JMP.JSLE]: JMP.JSGT,
  [JMP.JSLT]: JMP.JSGE,
};

/** The operation that says the same with the operands exchanged. */
export const MIRRORED: Readonly<Record<number, number>> = {
  [JMP.JEQ]: JMP.JEQ,
  [JMP.JNE]: JMP.JNE,
  [JMP.JSET]: JMP.JSET,
  [JMP.JGE]: JMP.JLE,
  [JMP.JGT]: JMP.JLT,
  [JMP.JLE]: JMP.JGE,
  [JMP.JLT]: JMP.JGT,
  [JMP.JSGE]: JMP.JSLE,
  [JMP.JSGT]: JMP.JSLT,
  [JMP.JSLE]: JMP.JSGE,
  [JMP.JSLT]: JMP.JSGT,
};

/** What `a op b` being true teaches of `a` and `b`. Kernel: regs_refine_cond_op(), then reg_bounds_sync() of both. */
function refineEdge(op: number, is32: boolean, a: Scalar, b: Scalar): Edge {
  const first = draftOf(a);
  const second = draftOf(b);
  assume(op, is32, first, second);
  return { a: settle(first), b: settle(second) };
}

function refineSelfEdge(op: number, is32: boolean, a: Scalar): Scalar {
  const draft = draftOf(a);
  assume(op, is32, draft, draft);
  return settle(draftOf(settle(draft)));
}

/** `a` and `b` may be the same draft. */
function assume(op: number, is32: boolean, a: Bounds, b: Bounds): void {
  switch (op) {
    case JMP.JEQ:
      if (is32) assumeEqual32(a, b);
      else assumeEqual64(a, b);
      return;
    case JMP.JNE:
    case JMP.JSET:
    case NOT_JSET:
      assumeOfConstant(op, is32, a, b);
      return;
    case JMP.JGE:
    case JMP.JGT:
    case JMP.JSGE:
    case JMP.JSGT:
      assumeOrder(MIRRORED[op]!, is32, b, a);
      return;
    default:
      assumeOrder(op, is32, a, b);
  }
}

function assumeEqual32(a: Bounds, b: Bounds): void {
  a.u32min = b.u32min = Math.max(a.u32min, b.u32min);
  a.u32max = b.u32max = Math.min(a.u32max, b.u32max);
  a.s32min = b.s32min = Math.max(a.s32min, b.s32min);
  a.s32max = b.s32max = Math.min(a.s32max, b.s32max);
  const low = tnumIntersect(tnumLow(a.tnum), tnumLow(b.tnum));
  a.tnum = tnumWithLow(a.tnum, low);
  b.tnum = tnumWithLow(b.tnum, low);
}

function assumeEqual64(a: Bounds, b: Bounds): void {
  a.umin = b.umin = larger(a.umin, b.umin);
  a.umax = b.umax = smaller(a.umax, b.umax);
  a.smin = b.smin = larger(a.smin, b.smin);
  a.smax = b.smax = smaller(a.smax, b.smax);
  a.tnum = b.tnum = tnumIntersect(a.tnum, b.tnum);
}

/** Inequality and bit tests teach of one operand, and only where the other is a constant. */
function assumeOfConstant(op: number, is32: boolean, a: Bounds, b: Bounds): void {
  const right = constantBits(is32, b);
  const constant = right ?? constantBits(is32, a);
  if (constant === null) return;
  const draft = right === null ? b : a;
  if (op === JMP.JNE) {
    if (is32) cutEnds32(draft, Number(constant));
    else cutEnds64(draft, constant);
  } else if (op === JMP.JSET) {
    // Of several bits that are tested it is not known which is set.
    if (constant === 0n || (constant & (constant - 1n)) !== 0n) return;
    draft.tnum = withBits(is32, draft.tnum, (bits) => tnumOr(bits, { value: constant, mask: 0n }));
  } else {
    // The kernel forgets the ranges here, lest they contradict the bits on an impossible outcome.
    unbound32(draft);
    unbound64(draft);
    const kept = BigInt.asUintN(64, ~constant);
    draft.tnum = withBits(is32, draft.tnum, (bits) => tnumAnd(bits, { value: kept, mask: 0n }));
  }
}

function withBits(is32: boolean, tnum: Tnum, change: (bits: Tnum) => Tnum): Tnum {
  return is32 ? tnumWithLow(tnum, change(tnumLow(tnum))) : change(tnum);
}

/** A range that does not hold its end any more. */
function cutEnds32(draft: Bounds, value: number): void {
  if (draft.u32min === value) draft.u32min = (value + 1) >>> 0;
  if (draft.u32max === value) draft.u32max = (value - 1) >>> 0;
  if (draft.s32min === (value | 0)) draft.s32min = (value + 1) | 0;
  if (draft.s32max === (value | 0)) draft.s32max = (value - 1) | 0;
}
function cutEnds64(draft: Bounds, value: bigint): void {
  const signed = BigInt.asIntN(64, value);
  if (draft.umin === value) draft.umin = BigInt.asUintN(64, value + 1n);
  if (draft.umax === value) draft.umax = BigInt.asUintN(64, value - 1n);
  if (draft.smin === signed) draft.smin = BigInt.asIntN(64, signed + 1n);
  if (draft.smax === signed) draft.smax = BigInt.asIntN(64, signed - 1n);
}

/**
 * `a < b`, `a <= b`, signed or not. The strict ones move the bound by one; that wraps around only on an impossible
 * outcome, as in the kernel. `b` is bounded by `a` as it was.
 */
function assumeOrder(op: number, is32: boolean, a: Bounds, b: Bounds): void {
  const step = op === JMP.JLT || op === JMP.JSLT ? 1 : 0;
  const wideStep = BigInt(step);
  if (op === JMP.JLT || op === JMP.JLE) {
    if (is32) {
      a.u32max = Math.min(a.u32max, (b.u32max - step) >>> 0);
      b.u32min = Math.max((a.u32min + step) >>> 0, b.u32min);
    } else {
      a.umax = smaller(a.umax, BigInt.asUintN(64, b.umax - wideStep));
      b.umin = larger(BigInt.asUintN(64, a.umin + wideStep), b.umin);
    }
  } else if (is32) {
    a.s32max = Math.min(a.s32max, (b.s32max - step) | 0);
    b.s32min = Math.max((a.s32min + step) | 0, b.s32min);
  } else {
    a.smax = smaller(a.smax, BigInt.asIntN(64, b.smax - wideStep));
    b.smin = larger(BigInt.asIntN(64, a.smin + wideStep), b.smin);
  }
}
