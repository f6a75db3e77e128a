/**
 * Why a program was rejected, in words and numbers for people who do not read the verifier's log: plain data, made by
 * compiler/verifier/explain from the path that failed. docs/faults.md shows one of every kind.
 */
import type { ErrnoName } from "../spec/errno.ts";
import type { FaultKind } from "../spec/faults.ts";

export interface Explanation {
  /** stable; a row of spec/faults.ts and a section of docs/faults.md */
  readonly kind: FaultKind;
  /** what this kind of fault is called */
  readonly title: string;
  /** this fault in one sentence, with the program's own names where its line information has them */
  readonly headline: string;
  readonly place: CodePlace;
  /** how it came to this, in the order of execution; the last step is the fault itself */
  readonly chain: readonly ExplanationStep[];
  /** what would be allowed, and what was found instead */
  readonly limits: readonly ExplanationLimit[];
  /** what usually helps */
  readonly remedies: readonly string[];
  /** page and anchor: `docs/faults.md#missing-null-check` */
  readonly docs: string;
  /** as the kernel says it */
  readonly errno: ErrnoName | null;
  readonly message: string;
}

/** An instruction, and the C line that it was compiled from where line information tells. */
export interface CodePlace {
  /** name of the function that the instruction belongs to; empty where it has none */
  readonly function: string;
  readonly insnIndex: number;
  /** as the kernel's log writes it: `(79) r1 = *(u64 *)(r0 +0)` */
  readonly insn: string;
  readonly source: SourceExcerpt | null;
}

export interface SourceExcerpt {
  readonly file: string;
  readonly line: number;
  /** from 1, counted in the line as the file has it; 0: not known */
  readonly column: number;
  /** without its indentation */
  readonly text: string;
  /** characters of white space that stand before `text` in the file */
  readonly indent: number;
}

/**
 * What a step is: `origin` where a value comes from, `change` where it became another, `check` a comparison that the path
 * came through, `call` a call that matters, `loop` what was walked too often, `fault` what is refused.
 */
export type StepRole = "origin" | "change" | "check" | "call" | "loop" | "fault";

export interface ExplanationStep {
  readonly role: StepRole;
  readonly place: CodePlace;
  readonly text: string;
}

export interface ExplanationLimit {
  /** "offset into the value", "return value" */
  readonly what: string;
  readonly allowed: LimitValue;
  readonly found: LimitValue;
}
/** A range of numbers, both ends included, or names. */
export type LimitValue = { readonly min: bigint; readonly max: bigint } | readonly string[];
