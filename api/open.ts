/**
 * An object that is open and not loaded: what is in it, and what may still be changed: sizes of maps, values of global
 * variables, which programs are loaded and what they attach to. Nothing is verified or made before load().
 */
import { UsageError } from "../base/index.ts";
import type { Edits, OptimizeLevel } from "../compiler/index.ts";
import { type BpfMap, createRuntime, type Runtime, type RuntimeOptions } from "../runtime/index.ts";
import type { CompiledObject, ProgramTypeName } from "../spec/index.ts";
import { nameOfSource, type ObjectInput, readSource } from "./input.ts";
import { LoadedObject } from "./object.ts";
import { type Variables, variablesOf } from "./open-data.ts";
import { OpenMap } from "./open-map.ts";
import { OpenProgram } from "./open-program.ts";
import { ObjectFile, type ObjectSource } from "./source.ts";
import { type TargetOptions, type TracepointOptions, withTracepoints } from "./target.ts";
import { Tiering } from "./tiers/tiering.ts";

export interface OpenOptions extends TargetOptions, TracepointOptions {
  /** shown in messages; default: the path */
  readonly name?: string;
  /** program types by name of program or section, for sections that libbpf does not know */
  readonly types?: Readonly<Record<string, ProgramTypeName>>;
  /**
   * How much binaryen optimises. "tiered", the default: code that is made in milliseconds runs at once, and where programs
   * turn out to run much, a thread makes better code, which takes its place; compile() then gives that of level 2.
   */
  readonly optimize?: OptimizeLevel | "tiered";
  /**
   * Directory in which compiled objects are kept, made where there is none: what was compiled before is neither verified nor
   * compiled again, so it is trusted like code. Default: none.
   */
  readonly cache?: string;
  /**
   * Compiles code that says where it is, so that Runtime.startProfile() can sample it: somewhat slower, and at level 2 from
   * the start unless `optimize` is a level. docs/profiling.md
   */
  readonly profile?: boolean;
}

export interface OpenLoadOptions {
  /** load into this runtime, which stays open when the object is closed; default: one of its own */
  readonly runtime?: Runtime;
  /** for a runtime of its own */
  readonly runtimeOptions?: RuntimeOptions;
  /** maps that exist already, by the name that the object gives them */
  readonly reuse?: Readonly<Record<string, BpfMap>>;
  /** ring buffers that all workers write to in the order in which they reserve; the others have a ring for each worker */
  readonly strictRings?: readonly string[];
  /**
   * Maps that are pinned, by pin name: one that is there is taken, one that is not is put there. A map lives as long as
   * the object that made it. Without it pin names mean nothing.
   */
  readonly pins?: Map<string, BpfMap>;
  /** better code could not be made (a thread that died): what runs goes on. Default: a process warning */
  readonly onOptimizeError?: (error: Error) => void;
}

/** Opens an object: a path, a file URL or its bytes. Throws UsageError (unreadable) or ObjectError (malformed). */
export async function openObject(source: ObjectInput, options: OpenOptions = {}): Promise<OpenObject> {
  const { optimize, cache, profile, ...reading } = withTracepoints(options);
  const name = nameOfSource(source, options.name);
  return new OpenObject(
    new ObjectFile(await readSource(source), { ...reading, name }, { optimize, cache, profile }),
    name,
  );
}

export class OpenObject {
  readonly maps: Readonly<Record<string, OpenMap>>;
  readonly programs: Readonly<Record<string, OpenProgram>>;
  /** in messages */
  readonly path: string;
  readonly #source: ObjectSource;
  readonly #sections = new Map<string, Variables>();
  #isLoaded = false;

  constructor(source: ObjectSource, path: string) {
    this.#source = source;
    this.path = path;
    const requireOpen = (): void => {
      if (this.#isLoaded)
        throw new UsageError("USAGE", `${path} is loaded: what it is made of cannot change any more`, {
          errno: "EBUSY",
        });
    };
    this.maps = byName(source.maps.map((spec) => new OpenMap(spec, requireOpen)));
    this.programs = byName(source.programs.map((info) => new OpenProgram(info, requireOpen)));
  }

  get name(): string {
    return this.#source.name;
  }
  get license(): string {
    return this.#source.license;
  }

  /** Constants, which the verifier takes for known: `object.rodata.targ_pid = 7`. */
  get rodata(): Variables {
    return this.variables(".rodata");
  }
  set rodata(values: Variables) {
    Object.assign(this.rodata, values);
  }
  get data(): Variables {
    return this.variables(".data");
  }
  set data(values: Variables) {
    Object.assign(this.data, values);
  }
  get bss(): Variables {
    return this.variables(".bss");
  }
  set bss(values: Variables) {
    Object.assign(this.bss, values);
  }
  /** `__kconfig` variables, to look at: their values are the target's. */
  get kconfig(): Variables {
    return this.variables(".kconfig");
  }

  /** Variables of any data section: `.rodata.limits`, `.data.config`. Without such a section there are none. */
  variables(section: string): Variables {
    const known = this.#sections.get(section);
    if (known !== undefined) return known;
    const map = Object.values(this.maps).find((candidate) => candidate.section === section);
    const variables = variablesOf({
      name: section,
      get variables() {
        return map?.variables ?? [];
      },
      read: () => map?.readBytes() ?? NOTHING,
      write: () => map?.writeBytes() ?? NOTHING,
    });
    this.#sections.set(section, variables);
    return variables;
  }

  /** The map, or a UsageError that lists those there are. */
  map(name: string): OpenMap {
    return find(this.maps, name, `${this.path} has no map ${name}`);
  }

  /** The program, or a UsageError that lists those there are. */
  program(name: string): OpenProgram {
    return find(this.programs, name, `${this.path} has no program ${name}`);
  }

  /** Loads these programs and no others. */
  select(names: readonly string[]): this {
    const chosen = new Set(names.map((name) => this.program(name)));
    for (const program of Object.values(this.programs)) program.autoload = chosen.has(program);
    return this;
  }

  /** What was changed, as plain data. */
  get edits(): Edits {
    const maps = editsOf(this.maps);
    const programs = editsOf(this.programs);
    return { ...(maps !== null && { maps }), ...(programs !== null && { programs }) };
  }

  /** Verifies and compiles without running anything. */
  compile(): Promise<CompiledObject> {
    return this.#source.compile(this.edits);
  }

  /**
   * Verifies, compiles and links; from then on nothing can be changed. Throws VerifierError (a program is rejected),
   * ObjectError, UnsupportedError, MapError; after a failure the object is as it was and may be loaded again.
   */
  async load(options: OpenLoadOptions = {}): Promise<LoadedObject> {
    if (this.#isLoaded) throw new UsageError("USAGE", `${this.path} is loaded already`, { errno: "EBUSY" });
    this.#isLoaded = true;
    const runtime = options.runtime ?? null;
    let own: Runtime | null = null;
    try {
      const { compiled, optimize } = await this.#source.compileToRun(this.edits);
      own = runtime === null ? createRuntime(options.runtimeOptions) : null;
      const home = runtime ?? own!;
      const linked = await home.link(compiled, {
        reuse: { ...this.#reused(options), ...options.reuse },
        strictRings: options.strictRings,
      });
      for (const map of Object.values(this.maps)) {
        if (map.pinName === null || options.pins === undefined || options.pins.has(map.pinName)) continue;
        options.pins.set(map.pinName, linked.maps[map.name]!);
      }
      if (home.world.watch !== null) home.world.watch.memberNames = (struct, at) => this.#source.memberAt(struct, at);
      const onError = options.onOptimizeError ?? ((error: Error) => process.emitWarning(error));
      return new LoadedObject(linked, home, {
        ownsRuntime: own !== null,
        tiering: optimize === null ? null : new Tiering(linked, { optimize, onError }),
        rawTracepoints: this.#source,
      });
    } catch (error) {
      own?.close();
      this.#isLoaded = false;
      throw error;
    }
  }

  #reused({ pins }: OpenLoadOptions): Record<string, BpfMap> {
    const reused: Record<string, BpfMap> = {};
    for (const map of Object.values(this.maps)) {
      const pinned = map.pinName === null ? undefined : pins?.get(map.pinName);
      const taken = map.reused ?? pinned;
      if (taken !== undefined) reused[map.name] = taken;
    }
    return reused;
  }
}

const NOTHING = new DataView(new ArrayBuffer(0));

/** Without a prototype: names come from outside. */
function byName<T extends { readonly name: string }>(items: readonly T[]): Readonly<Record<string, T>> {
  const record: Record<string, T> = Object.create(null);
  for (const item of items) record[item.name] = item;
  return record;
}

function find<T>(record: Readonly<Record<string, T>>, name: string, message: string): T {
  const found = record[name];
  if (found !== undefined) return found;
  throw new UsageError("USAGE", message, { hint: `it has ${Object.keys(record).join(", ") || "none"}` });
}

function editsOf<E>(items: Readonly<Record<string, { readonly edit: E | null }>>): Record<string, E> | null {
  const edits: Record<string, E> = Object.create(null);
  for (const [name, { edit }] of Object.entries(items)) if (edit !== null) edits[name] = edit;
  return Object.keys(edits).length === 0 ? null : edits;
}
