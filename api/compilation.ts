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
}

/** Throws what stops the first program. */
export async function verifyAndLower({ optimize, ...compilation }: Compilation): Promise<CompiledObject> {
  return lowerObject({ ...compilation, programs: compilation.programs.map(requireAccepted) }, { optimize });
}

export function requireAccepted(program: Program): VerifiedProgram {
  const result = verify(program, { logLevel: 1 });
  if (result.verdict !== "accepted") throw describeMissing(result.error, program);
  return result.program;
}
