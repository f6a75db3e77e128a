/**
 * Where an open object comes from, and how it becomes a compiled one with what was changed in between. Today an object
 * file; a prebuilt artifact is another source of the same shape, with fewer changes that it can take.
 */
import { UnsupportedError, UsageError } from "../base/index.ts";
import {
  type BpfObject,
  type Btf,
  type Edits,
  findOwnTracepoint,
  findTracepoint,
  type Program,
  type ProgramOutcome,
  type ReadOptions,
  rawTracepointArguments,
  readObject,
  VERY_LARGE_FUNCTION,
} from "../compiler/front.ts";
import type { OptimizeLevel } from "../compiler/index.ts";
import { memberAt } from "../runtime/kernel/index.ts";
import { isStruct } from "../runtime/values/index.ts";
import type { CompiledObject, MapSpec } from "../spec/index.ts";
import { readCached, writeCached } from "./cache.ts";
import { compilationKey } from "./cache-key.ts";
import { type Compilation, FIRST_TIER, LAST_TIER, requireAccepted, verifyAndLower } from "./compilation.ts";
import type { ProgramInfo } from "./open-program.ts";
import { type OptimizeJob, optimizeInBackground } from "./tiers/optimizer.ts";

export interface ObjectSource {
  readonly name: string;
  readonly license: string;
  readonly maps: readonly MapSpec[];
  readonly programs: readonly ProgramInfo[];
  /** Whether the target has a raw tracepoint of that name; null: nothing is known of the target's. */
  hasRawTracepoint(name: string): boolean | null;
  /** bytes of its arguments; undefined: not known */
  rawTracepointArguments(name: string): readonly number[] | undefined;
  /** Path of what lies at an offset of a struct of the target; null: not known. */
  memberAt(struct: string, offsetBytes: number): string | null;
  /** Verifies and compiles the programs that are to be loaded. Throws what stops the first of them. */
  compile(edits: Edits): Promise<CompiledObject>;
  /** The same, to run at once. `optimize`, where better code can be had, starts compiling it. */
  compileToRun(
    edits: Edits,
  ): Promise<{ readonly compiled: CompiledObject; readonly optimize: (() => OptimizeJob) | null }>;
}

export interface CompilerOptions {
  /** default "tiered" */
  readonly optimize?: OptimizeLevel | "tiered" | undefined;
  /** directory with what was compiled before */
  readonly cache?: string | undefined;
  /** code that says where it is; there is one tier of it */
  readonly profile?: boolean | undefined;
}

export class ObjectFile implements ObjectSource {
  readonly programs: readonly ProgramInfo[];
  readonly #bytes: Uint8Array;
  readonly #options: ReadOptions & { readonly name: string };
  readonly #compiler: CompilerOptions;
  readonly #object: BpfObject;

  constructor(bytes: Uint8Array, options: ReadOptions & { readonly name: string }, compiler: CompilerOptions) {
    this.#bytes = bytes;
    this.#options = options;
    this.#compiler = compiler;
    this.#object = readObject(bytes, options);
    this.programs = this.#object.programs.map(infoOf);
  }

  hasRawTracepoint(name: string): boolean | null {
    const { targetBtf = null, modules = [] } = this.#options;
    return targetBtf === null && modules.length === 0 ? null : this.#tracepointBtf(name) !== null;
  }

  rawTracepointArguments(name: string): readonly number[] | undefined {
    const btf = this.#tracepointBtf(name);
    return btf === null ? undefined : rawTracepointArguments(btf, name);
  }

  /** The kernel's, or that of the module that has the raw tracepoint; null: neither has it, as far as is known. */
  #tracepointBtf(name: string): Btf | null {
    const { targetBtf = null, modules = [] } = this.#options;
    if (targetBtf !== null && findTracepoint(targetBtf, name) !== null) return targetBtf;
    return modules.find(({ btf }) => findOwnTracepoint(btf, name) !== null)?.btf ?? null;
  }

  memberAt(struct: string, offsetBytes: number): string | null {
    const { targetBtf } = this.#options;
    const id = targetBtf?.findByName(struct, "struct") ?? null;
    const type = id === null ? null : targetBtf!.ctype(id);
    return type !== null && isStruct(type) ? memberAt(type, offsetBytes) : null;
  }

  get name(): string {
    return this.#object.name;
  }
  get license(): string {
    return this.#object.license;
  }
  get maps(): readonly MapSpec[] {
    return this.#object.maps;
  }

  async compile(edits: Edits): Promise<CompiledObject> {
    const { optimize = "tiered", cache } = this.#compiler;
    return compileCached(await this.#prepare(edits, optimize === "tiered" ? LAST_TIER.optimize : optimize), cache);
  }

  async compileToRun(edits: Edits): ReturnType<ObjectSource["compileToRun"]> {
    const { optimize = "tiered", cache } = this.#compiler;
    if (optimize !== "tiered" || this.#compiler.profile === true)
      return { compiled: await this.compile(edits), optimize: null };
    const best = await this.#prepare(edits, LAST_TIER.optimize);
    const kept = cache === undefined ? null : { cache, key: compilationKey(best) };
    const known = kept === null ? null : await readCached(kept.cache, kept.key);
    if (known !== null) return { compiled: known, optimize: null };
    const first = await compileCached({ ...best, ...FIRST_TIER }, cache).catch(refusedForSize);
    if (first === null) return { compiled: await compileCached(best, cache), optimize: null };
    return {
      compiled: first,
      optimize: () => {
        const job = optimizeInBackground(best);
        // who waits for the job hears of its failure
        if (kept !== null)
          job.wasm.then(
            (wasm) => writeCached(kept.cache, kept.key, wasm),
            () => {},
          );
        return job;
      },
    };
  }

  async #prepare(edits: Edits, optimize: OptimizeLevel): Promise<Compilation> {
    const isEdited = edits.maps !== undefined || edits.programs !== undefined;
    const object = isEdited ? readObject(this.#bytes, { ...this.#options, edits }) : this.#object;
    const { name } = this.#options;
    requireKnownMaps(object, name);
    const programs: Program[] = [];
    for (const outcome of object.programs) {
      const wanted = edits.programs?.[nameOf(outcome)]?.autoload ?? infoOf(outcome).autoload;
      if (!wanted) continue;
      if (!outcome.ok) {
        // what is wrong with one before it comes first
        await requireAccepted(programs);
        throw outcome.error;
      }
      programs.push(outcome.program);
    }
    if (programs.length === 0) throw new UsageError("USAGE", `${name} has no program to load`);
    const { license, maps, types } = object;
    const profile = this.#compiler.profile === true ? ({ profile: true } as const) : {};
    return { name: object.name, license, maps, types, programs, optimize, ...profile };
  }
}

const nameOf = (outcome: ProgramOutcome): string => (outcome.ok ? outcome.program.name : outcome.name);

function infoOf(outcome: ProgramOutcome): ProgramInfo {
  const { program } = outcome;
  if (program !== undefined) {
    const { name, section, type, attachType, attachTarget, autoload } = program;
    return { name, section, type, attachType, attachTarget, autoload };
  }
  const { name, section, type } = outcome as Extract<ProgramOutcome, { ok: false }>;
  return { name, section, type, attachType: null, attachTarget: null, autoload: !section.startsWith("?") };
}

/** Kinds of maps that bpfjit can show and cannot make. */
function requireKnownMaps({ maps }: BpfObject, object: string): void {
  for (const map of maps) {
    const what = map.type === "struct_ops" ? "struct_ops" : map.type === "arena" ? "arena maps" : null;
    if (what === null) continue;
    const message = `map ${map.name} of ${object} is of type ${map.type}, which bpfjit does not load`;
    throw new UnsupportedError("UNSUPPORTED_MAP_TYPE", what, message, { where: { object } });
  }
}

/** Null where code that is not optimised is too large for the engine: optimised it may be small enough. */
function refusedForSize(error: unknown): null {
  if (error instanceof UnsupportedError && error.feature === VERY_LARGE_FUNCTION) return null;
  throw error;
}

/** Verifies and lowers, unless that was done before and kept in the directory `cache`. Throws what stops the first program. */
async function compileCached(compilation: Compilation, cache: string | undefined): Promise<CompiledObject> {
  if (cache === undefined) return verifyAndLower(compilation);
  const key = compilationKey(compilation);
  const known = await readCached(cache, key);
  if (known !== null) return known;
  const compiled = await verifyAndLower(compilation);
  await writeCached(cache, key, compiled.wasm);
  return compiled;
}
