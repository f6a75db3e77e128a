/** What is compiled in one go: the programs that are loaded, as the object layer leaves them, and what comes of them. */
import type { LoweringInput, OptimizeLevel, Program, VerifiedProgram } from "../compiler/index.ts";
import type { CompiledObject } from "../spec/index.ts";
import { loadCompiler } from "./compiler.ts";
import { describeMissing } from "./missing.ts";

export interface Compilation extends Omit<LoweringInput, "programs"> {
  readonly programs: readonly Program[];
  readonly optimize: OptimizeLevel;
  /** "imported": programs call the runtime's library, instead of having their own */
  readonly library?: "imported";
  /** the code says where it is, for a profile */
  readonly profile?: true;
}

/**
 * What runs at once, and what is fastest: docs/performance.md. Reading the library into a module takes longer than compiling a
 * small program does; calling it where it lies takes a few per cent more.
 */
export const FIRST_TIER = { optimize: 0, library: "imported" } as const;
export const LAST_TIER = { optimize: 2 } as const;

/** Throws what stops the first program. */
export async function verifyAndLower({ optimize, library, profile, ...object }: Compilation): Promise<CompiledObject> {
  const { lowerObject } = await loadCompiler();
  const options = { optimize, profile: profile === true, ...(library && { library }) };
  return lowerObject({ ...object, programs: await requireAccepted(object.programs) }, options);
}

/** Throws what is wrong with the first that is not accepted. */
export async function requireAccepted(programs: readonly Program[]): Promise<VerifiedProgram[]> {
  const { verify } = await loadCompiler();
  return programs.map((program) => {
    const result = verify(program);
    if (result.verdict !== "accepted") throw describeMissing(result.error, program);
    return result.program;
  });
}
