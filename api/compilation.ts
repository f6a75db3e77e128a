/** What is compiled in one go: the programs that are loaded, as the object layer leaves them, and what comes of them. */
import {
  type LoweringInput,
  lowerObject,
  type OptimizeLevel,
  type Program,
  type VerifiedProgram,
  verify,
} from "../compiler/index.ts";
import type { CompiledObject } from "../spec/index.ts";
import { describeMissing } from "./missing.ts";

export interface Compilation extends Omit<LoweringInput, "programs"> {
  readonly programs: readonly Program[];
  readonly optimize: OptimizeLevel;
  /** the code says where it is, for a profile */
  readonly profile?: true;
}

/** Throws what stops the first program. */
export async function verifyAndLower({ optimize, profile, ...object }: Compilation): Promise<CompiledObject> {
  const options = { optimize, profile: profile === true };
  return lowerObject({ ...object, programs: object.programs.map(requireAccepted) }, options);
}

export function requireAccepted(program: Program): VerifiedProgram {
  const result = verify(program, { logLevel: 1 });
  if (result.verdict !== "accepted") throw describeMissing(result.error, program);
  return result.program;
}
