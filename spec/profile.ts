/**
 * What the numbers mean that a module compiled with `profile` writes while it runs (WORKER in abi.ts). A module's own places
 * count from 0; in a runtime they follow a first number that each module is given when it is linked.
 */
export interface ProfileTable {
  readonly functions: readonly ProfileFunction[];
  readonly lines: readonly ProfileLine[];
  readonly places: readonly ProfilePlace[];
}

export interface ProfileFunction {
  /** name of its program in the manifest */
  readonly program: string;
  /** as in C */
  readonly name: string;
  /** the program's own function: its entries are counted, u64 at its index */
  readonly isMain: boolean;
}

/** A line of C. */
export interface ProfileLine {
  readonly file: string;
  readonly line: number;
  /** trimmed */
  readonly text: string;
}

export interface ProfilePlace {
  /** index of its function */
  readonly function: number;
  /** index of its line, null: there is no line information; then the place is a basic block */
  readonly line: number | null;
  /** the first instruction of it that was met */
  readonly insnIndex: number;
  /** the call that is made there of a helper or kernel function, null: none */
  readonly helper: string | null;
  /** functions that are called there, as subprogram or callback */
  readonly calls: readonly number[];
}
