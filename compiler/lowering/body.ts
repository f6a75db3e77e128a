/** What the translation of one function's instructions needs at hand. */
import type { InsnFacts, Program, ProgramFacts } from "../program.ts";
import type { Expr, Wasm } from "./emit.ts";
import type { Frame, Temp } from "./frame.ts";
import type { Knowledge } from "./known.ts";
import type { Slots } from "./slots.ts";
import type { Unit } from "./unit.ts";

export interface Body {
  readonly unit: Unit;
  readonly wasm: Wasm;
  readonly program: Program;
  /** null: an unchecked program */
  readonly facts: ProgramFacts | null;
  readonly frame: Frame;
  /** checks of an unchecked program, null where the verifier has made them */
  readonly guards: Guards | null;
  /** says where the code is, null: nobody asked */
  readonly profile: CallProfile | null;
  /** what registers hold at the instruction under way */
  readonly known: Knowledge;
  /** bytes of the stack frame that are locals */
  readonly slots: Slots;
  /** a local for a pointer that outlives its instruction, null when the function has enough of them */
  pointerLocal(): Temp | null;
  /** what a function does before it returns or is replaced by a tail call: restores the stack pointer */
  leave(): Expr[];
}

/** Run-time checks of unchecked programs (unchecked.ts). */
export interface Guards {
  /** The 32-bit address of an access that has been found good; the program faults where it is not. */
  access(address: Expr, bytes: number, frame: Frame, insnIndex: number): Expr;
  /** Takes one from the budget against endless loops. */
  spend(insnIndex: number): Expr;
}

/** How calls say where they are (profile.ts). */
export interface CallProfile {
  /** Code that calls subprograms, with the call on the stack of places. */
  calling(insnIndex: number, code: readonly Expr[]): Expr[];
  /** After other programs or functions may have run. */
  returned(insnIndex: number): Expr;
}

export const factsAt = (body: Body, insnIndex: number): InsnFacts | null => body.facts?.insns[insnIndex] ?? null;
