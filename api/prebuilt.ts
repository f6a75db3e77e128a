/**
 * Objects that were compiled ahead of time (`bpfjit build`): a Wasm module that carries its manifest. Nothing here, and
 * nothing that it imports, belongs to the compiler.
 */
import { ObjectError, UsageError } from "../base/index.ts";
import { readManifest } from "../base/manifest.ts";
import { type BpfMap, createRuntime, type Runtime, type RuntimeOptions } from "../runtime/index.ts";
import { nameOfSource, type ObjectInput, readSource } from "./input.ts";
import { LoadedObject } from "./object.ts";

export interface PrebuiltOptions {
  /** in messages; default: the path */
  readonly name?: string;
  /** only these programs; default: all that it has */
  readonly programs?: readonly string[];
  /** load into this runtime, which stays open when the object is closed; default: one of its own */
  readonly runtime?: Runtime;
  /** for a runtime of its own */
  readonly runtimeOptions?: RuntimeOptions;
  /** maps that exist already, by the name that the object gives them */
  readonly reuse?: Readonly<Record<string, BpfMap>>;
  /** ring buffers that several workers share, in the order of reservation, instead of a lane each */
  readonly strictRings?: readonly string[];
}

const WASM_MAGIC = [0, 0x61, 0x73, 0x6d] as const;

export const isPrebuilt = (bytes: Uint8Array): boolean => WASM_MAGIC.every((byte, index) => bytes[index] === byte);

/**
 * Links a prebuilt object: a path, a file URL or its bytes. It was verified when it was built and is not verified again, so
 * take it from where you would take code. Throws UsageError (unreadable, no such program), ObjectError ARTIFACT_MALFORMED
 * (damaged, or of another version), MapError.
 */
export async function loadPrebuilt(source: ObjectInput, options: PrebuiltOptions = {}): Promise<LoadedObject> {
  const bytes = await readSource(source);
  const name = nameOfSource(source, options.name);
  if (!isPrebuilt(bytes))
    throw new ObjectError("ARTIFACT_MALFORMED", `${name} is no prebuilt object`, { where: { object: name } });
  const manifest = readManifest(bytes);
  const { programs } = options;
  const missing = programs?.find((wanted) => !manifest.programs.some((program) => program.name === wanted));
  if (missing !== undefined) {
    throw new UsageError("USAGE", `${name} has no program ${missing}`, {
      hint: `it has ${manifest.programs.map((program) => program.name).join(", ")}`,
    });
  }
  const chosen =
    programs === undefined ? manifest.programs : manifest.programs.filter((program) => programs.includes(program.name));
  const own = options.runtime === undefined ? createRuntime(options.runtimeOptions) : null;
  try {
    const runtime = options.runtime ?? own!;
    const compiled = { wasm: bytes, manifest: { ...manifest, programs: chosen } };
    const { reuse, strictRings } = options;
    const linked = await runtime.link(compiled, { ...(reuse && { reuse }), ...(strictRings && { strictRings }) });
    return new LoadedObject(linked, runtime, { ownsRuntime: own !== null });
  } catch (error) {
    own?.close();
    throw error;
  }
}
