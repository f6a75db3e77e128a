/** Object file → programs that run: reads, verifies, compiles, links. The only place where compiler and runtime meet. */
import { readFile } from "node:fs/promises";
import { UsageError } from "../base/index.ts";
import {
  type Btf,
  lowerObject,
  type OptimizeLevel,
  type Program,
  readBtf,
  readObject,
  type VerifiedProgram,
  verify,
} from "../compiler/index.ts";
import { type BpfMap, createRuntime, type Runtime, type RuntimeOptions } from "../runtime/index.ts";
import type { CompiledObject } from "../spec/index.ts";
import { LoadedObject } from "./object.ts";

export interface CompileOptions {
  /** shown in messages; default: the path */
  readonly name?: string;
  /** only these programs; default: those that libbpf loads by default */
  readonly programs?: readonly string[];
  /** BTF of the kernel whose structs the programs read (CO-RE) */
  readonly targetBtf?: Btf;
  /** how much binaryen optimises; default 2, for large objects 1 */
  readonly optimize?: OptimizeLevel;
}

export interface LoadOptions extends CompileOptions {
  /** load into this runtime, which stays open when the object is closed; default: one of its own */
  readonly runtime?: Runtime;
  /** for a runtime of its own */
  readonly runtimeOptions?: RuntimeOptions;
  /** maps that exist already, by the name that the object gives them */
  readonly reuse?: Readonly<Record<string, BpfMap>>;
}

/**
 * Loads an object: a path, a file URL or its bytes. Throws what stops it: UsageError (unreadable), ObjectError (malformed),
 * VerifierError (a program is rejected), UnsupportedError, MapError.
 */
export async function load(source: string | URL | Uint8Array, options: LoadOptions = {}): Promise<LoadedObject> {
  const compiled = await compile(source, options);
  const runtime = options.runtime ?? createRuntime(options.runtimeOptions);
  const ownsRuntime = options.runtime === undefined;
  try {
    const linked = await runtime.link(compiled, { reuse: options.reuse });
    return new LoadedObject(linked, runtime, { ownsRuntime });
  } catch (error) {
    if (ownsRuntime) runtime.close();
    throw error;
  }
}

/** Reads, verifies and compiles, without running anything. */
export async function compile(
  source: string | URL | Uint8Array,
  options: CompileOptions = {},
): Promise<CompiledObject> {
  const name = options.name ?? (source instanceof Uint8Array ? "object" : String(source));
  const object = readObject(await readSource(source), {
    name,
    ...(options.targetBtf && { targetBtf: options.targetBtf }),
  });
  const chosen = chooseNames(
    object.programs.map((outcome) => (outcome.ok ? outcome.program.name : outcome.name)),
    name,
    options.programs,
  );
  const programs: VerifiedProgram[] = [];
  for (const outcome of object.programs) {
    const wanted = outcome.ok ? isWanted(outcome.program, chosen) : chosen === null || chosen.has(outcome.name);
    if (!wanted) continue;
    if (!outcome.ok) throw outcome.error;
    programs.push(requireAccepted(outcome.program));
  }
  if (programs.length === 0) throw new UsageError("USAGE", `${name} has no program to load`);
  return lowerObject(
    { name: object.name, license: object.license, maps: object.maps, types: object.types, programs },
    options.optimize === undefined ? {} : { optimize: options.optimize },
  );
}

/** BTF as /sys/kernel/btf/vmlinux has it, or the .BTF section of an ELF file. */
export function readTargetBtf(bytes: Uint8Array): Btf {
  return readBtf(bytes);
}

async function readSource(source: string | URL | Uint8Array): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  try {
    return await readFile(source);
  } catch (cause) {
    throw new UsageError(
      "INPUT_UNREADABLE",
      `cannot read ${source}: ${(cause as NodeJS.ErrnoException).code ?? cause}`,
      { cause },
    );
  }
}

/** Null: nothing was chosen. */
function chooseNames(
  known: readonly string[],
  object: string,
  chosen: readonly string[] | undefined,
): ReadonlySet<string> | null {
  if (chosen === undefined) return null;
  const missing = chosen.find((name) => !known.includes(name));
  if (missing === undefined) return new Set(chosen);
  throw new UsageError("USAGE", `${object} has no program ${missing}`, { hint: `it has ${known.join(", ")}` });
}

const isWanted = (program: Program, chosen: ReadonlySet<string> | null): boolean =>
  chosen === null ? program.autoload : chosen.has(program.name);

function requireAccepted(program: Program): VerifiedProgram {
  const result = verify(program, { logLevel: 1 });
  if (result.verdict !== "accepted") throw result.error;
  return result.program;
}
