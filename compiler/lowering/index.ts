/** Verified (or unchecked) programs of one object → a Wasm module with its manifest, and a look at what became of one. */
import { attachManifest } from "../../base/manifest.ts";
import { ABI_VERSION, type CompiledObject, type CType, type Manifest, type MapSpec } from "../../spec/index.ts";
import { libraryBytes } from "../../wasm/index.ts";
import { describeProgram } from "./describe.ts";
import { encodeModule, type OptimizeLevel, openModule, optimizeModule, validateModule } from "./emit.ts";
import { kernelLayouts } from "./kernel-facts.ts";
import { checkProgram, type LowerableProgram, lowerProgram } from "./lower.ts";
import { PlaceTable } from "./places.ts";
import { checkFunctionSizes } from "./size.ts";
import { Unit } from "./unit.ts";

export { readManifest } from "../../base/manifest.ts";
export type { OptimizeLevel } from "./emit.ts";
export { explainLowering } from "./explain.ts";
export type { LowerableProgram } from "./lower.ts";

export interface LoweringInput {
  readonly name: string;
  readonly license: string;
  readonly maps: readonly MapSpec[];
  readonly types: Readonly<Record<string, CType>>;
  readonly programs: readonly LowerableProgram[];
}

export interface LoweringOptions {
  /** default: 2 */
  readonly optimize?: OptimizeLevel;
  /** "imported": library functions stay imports, and what carries them is the caller's matter. Default: the module has its own. */
  readonly library?: "merged" | "imported";
  /** keep function names in the module */
  readonly names?: boolean;
  /** the code says where it is, for a sampler (runtime/profile/); it is slower then. Programs that are not verified cannot */
  readonly profile?: boolean;
  /** check binaryen's tree before it is optimised; for tests */
  readonly validate?: boolean;
}

/**
 * Throws UnsupportedError for what cannot be run (helpers, kfuncs, map types that bpfjit lacks), VerifierError where an
 * unchecked program is not well-formed.
 */
export async function lowerObject(input: LoweringInput, options: LoweringOptions = {}): Promise<CompiledObject> {
  for (const program of input.programs) checkProgram(program);
  const optimize = options.optimize ?? 2;
  const wasm = await openModule(options.library === "imported" ? null : libraryBytes());
  const places = options.profile === true ? new PlaceTable() : null;
  const unit = new Unit(wasm, places);
  const functions = input.programs.flatMap((program) => lowerProgram(unit, program, { inlineIntoBatch: optimize > 0 }));
  if (options.validate === true) validateModule(wasm);
  await optimizeModule(wasm, optimize, functions);
  const bytes = await encodeModule(wasm, options.names === true);
  checkFunctionSizes(bytes, input.name);
  const kernel = kernelLayouts(input.programs);
  const manifest: Manifest = {
    abiVersion: ABI_VERSION,
    name: input.name,
    license: input.license,
    maps: input.maps,
    programs: input.programs.map(describeProgram),
    types: input.types,
    ...(kernel !== undefined && { kernel }),
    ...(places !== null && { profile: places.table }),
  };
  return { wasm: attachManifest(bytes, manifest), manifest };
}
