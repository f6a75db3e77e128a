/** What a file test runs on: verifier, reference interpreter, compiled code. Each may be replaced in the runner's own tests. */
import type { BpfError } from "../../../base/index.ts";
import type { Program, UncheckedProgram, VerifiedProgram } from "../../../compiler/program.ts";
import type { RunInput } from "./expectation.ts";

export type Verdict =
  | { readonly verdict: "accepted"; readonly program: VerifiedProgram; readonly log: string }
  | { readonly verdict: "rejected" | "unsupported"; readonly error: BpfError; readonly log: string };

export interface RunResult {
  readonly r0: bigint;
  /** raw: the memory; programs with a packet: the packet */
  readonly bytes: Uint8Array | null;
}

/** Runs a program; a BpfError it throws (MEMORY_FAULT …) is a result too. */
export interface RunEngine {
  readonly name: string;
  /** programs it can run: the reference interpreter knows no helpers, the kernel no raw faults */
  takes(program: Program, input: RunInput): boolean;
  run(program: VerifiedProgram | UncheckedProgram, input: RunInput): Promise<RunResult>;
}

export interface Engines {
  verify(program: Program, options: { readonly logLevel: number }): Verdict | Promise<Verdict>;
  readonly runs: readonly RunEngine[];
  /** Wasm text of one program, before optimisation */
  wat(program: VerifiedProgram): Promise<string>;
}
