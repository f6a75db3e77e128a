/** Opens and loads in one go, for objects that need nothing changed in between. api/open.ts does the work. */
import type { CompiledObject } from "../spec/index.ts";
import type { LoadedObject } from "./object.ts";
import { type OpenLoadOptions, type OpenObject, type OpenOptions, openObject } from "./open.ts";
import { isPrebuilt, loadPrebuilt } from "./prebuilt.ts";
import { readSource } from "./source.ts";

export interface CompileOptions extends OpenOptions {
  /** only these programs; default: those that libbpf loads by default */
  readonly programs?: readonly string[];
}

export interface LoadOptions extends CompileOptions, OpenLoadOptions {}

/**
 * Loads an object: a path, a file URL or its bytes. One that was compiled ahead of time (`bpfjit build`) is linked as it is,
 * for the target that it was built for. Throws what stops it: UsageError (unreadable), ObjectError (malformed),
 * VerifierError (a program is rejected), UnsupportedError, MapError.
 */
export async function load(source: string | URL | Uint8Array, options: LoadOptions = {}): Promise<LoadedObject> {
  const { runtime, runtimeOptions, reuse, strictRings, pins, onOptimizeError, ...opening } = options;
  const bytes = await readSource(source);
  const name = options.name ?? (source instanceof Uint8Array ? "object" : String(source));
  if (isPrebuilt(bytes)) return loadPrebuilt(bytes, { ...options, name });
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
export async function compile(
  source: string | URL | Uint8Array,
  options: CompileOptions = {},
): Promise<CompiledObject> {
  return (await openSelected(source, options)).compile();
}

async function openSelected(source: string | URL | Uint8Array, options: CompileOptions): Promise<OpenObject> {
  const { programs, ...opening } = options;
  const object = await openObject(source, opening);
  return programs === undefined ? object : object.select(programs);
}
