/** Opens and loads in one go, for objects that need nothing changed in between. api/open.ts does the work. */
import { UsageError } from "../base/index.ts";
import type { CompiledObject } from "../spec/index.ts";
import { nameOfSource, type ObjectInput, readSource } from "./input.ts";
import type { LoadedObject } from "./object.ts";
import { type OpenLoadOptions, type OpenObject, type OpenOptions, openObject } from "./open.ts";
import { isPrebuilt, loadPrebuilt } from "./prebuilt.ts";

export interface CompileOptions extends OpenOptions {
  /** only these programs; default: those that libbpf loads by default */
  readonly programs?: readonly string[];
  /** changes what is open before it is compiled: sizes of maps, values of variables. Not for what was compiled ahead of time */
  readonly edit?: (object: OpenObject) => void;
}

export interface LoadOptions extends CompileOptions, OpenLoadOptions {}

/**
 * Loads an object: a path, a file URL or its bytes. One that was compiled ahead of time (`bpfjit build`) is linked as it is,
 * for the target that it was built for. Throws what stops it: UsageError (unreadable), ObjectError (malformed),
 * VerifierError (a program is rejected), UnsupportedError, MapError.
 */
export async function load(source: ObjectInput, options: LoadOptions = {}): Promise<LoadedObject> {
  const { runtime, runtimeOptions, reuse, strictRings, pins, onOptimizeError, ...opening } = options;
  const bytes = await readSource(source);
  const name = nameOfSource(source, options.name);
  if (isPrebuilt(bytes)) {
    if (opening.edit !== undefined)
      throw new UsageError("USAGE", `${name} was compiled ahead of time: it cannot be changed`);
    return loadPrebuilt(bytes, { ...options, name });
  }
  const object = await openSelected(bytes, { ...opening, name });
  return object.load({
    ...(runtime && { runtime }),
    ...(runtimeOptions && { runtimeOptions }),
    ...(reuse && { reuse }),
    ...(strictRings && { strictRings }),
    ...(pins && { pins }),
    ...(onOptimizeError && { onOptimizeError }),
  });
}

/** Reads, verifies and compiles, without running anything. */
export async function compile(source: ObjectInput, options: CompileOptions = {}): Promise<CompiledObject> {
  return (await openSelected(source, options)).compile();
}

async function openSelected(source: ObjectInput, options: CompileOptions): Promise<OpenObject> {
  const { programs, edit, ...opening } = options;
  const object = await openObject(source, opening);
  edit?.(object);
  return programs === undefined ? object : object.select(programs);
}
