/** Verified (or unchecked) programs of one object → a Wasm module with its manifest, and a look at what became of one. */
import { attachManifest } from "../../base/manifest.ts";
import { ABI_VERSION, type CompiledObject, type CType, type Manifest, type MapSpec } from "../../spec/index.ts";
import { libraryBytes } from "../../wasm/index.ts";
import { encodeModule, type OptimizeLevel, openModule, optimizeModule, validateModule } from "./emit.ts";
import { checkProgram, describeProgram, type LowerableProgram, lowerProgram } from "./lower.ts";
import { checkFunctionSizes } from "./size.ts";
import { Unit } from "./unit.ts";

export { readCompiledObject, readManifest } from "../../base/manifest.ts";
export type { OptimizeLevel } from "./emit.ts";
export { type Explanation, explainLowering } from "./explain.ts";
export type { LowerableProgram } from "./lower.ts";

export interface LoweringInput {
  readonly name: string;
  readonly license: string;
  readonly maps: readonly MapSpec[];
  readonly types: Readonly<Record<string, CType>>;
  readonly programs: readonly LowerableProgram[];
}

export interface LoweringOptions {
  /** default: 2, and 1 where the programs are large */
  readonly optimize?: OptimizeLevel;
  /** keep function names in the module */
  readonly names?: boolean;
  /** check binaryen's tree before it is optimised; for tests */
  readonly validate?: boolean;
}

/** Instructions of an object beyond which level 2 costs more seconds than it is likely to give back. */
const LARGE_INSNS = 30_000;

/**
 * Throws UnsupportedError for what cannot be run (helpers, kfuncs, map types that bpfjit lacks), VerifierError where an
 * unchecked program is not well-formed.
 */
export async function lowerObject(input: LoweringInput, options: LoweringOptions = {}): Promise<CompiledObject> {
  for (const program of input.programs) checkProgram(program);
  const wasm = await openModule(libraryBytes);
  const unit = new Unit(wasm);
  for (const program of input.programs) lowerProgram(unit, program);
  if (options.validate === true) validateModule(wasm);
  const insns = input.programs.reduce((sum, program) => sum + program.insns.length, 0);
  await optimizeModule(wasm, options.optimize ?? (insns > LARGE_INSNS ? 1 : 2));
  const bytes = await encodeModule(wasm, options.names === true);
  checkFunctionSizes(bytes, input.name);
  const manifest: Manifest = {
    abiVersion: ABI_VERSION,
    name: input.name,
    license: input.license,
    maps: input.maps,
    programs: input.programs.map(describeProgram),
    types: input.types,
  };
  return { wasm: attachManifest(bytes, manifest), manifest };
}
