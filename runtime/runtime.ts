/** A runtime: one world of memory, maps, programs and hooks. Nothing of it is global; two runtimes never see each other. */
import { UsageError } from "../base/index.ts";
import type { CompiledObject, MapSpec, TracepointArguments, TracepointDefinition } from "../spec/index.ts";
import { type Device, LOOPBACK } from "./device.ts";
import { Hooks } from "./hooks.ts";
import type { StrayRead } from "./kernel/index.ts";
import { type LinkOptions, linkObject } from "./linker.ts";
import { type BpfMap, createMap, type ProgArrayMap } from "./maps/index.ts";
import type { LinkedObject } from "./object.ts";
import { ProfiledCode } from "./profile/code.ts";
import type { ProfileOptions, Profiler } from "./profile/profiler.ts";
import type { ProgramHome } from "./program.ts";
import { type PumpOptions, type PumpSummary, pump } from "./pump.ts";
import type { EventSource } from "./source.ts";
import { Tracepoint } from "./tracepoints.ts";
import { Crew, type WorkerLoss } from "./workers/crew.ts";
import { World } from "./world.ts";

/** Records of a ring that several share name their worker in 12 bits. */
const MOST_WORKERS = 256;

export interface RuntimeOptions {
  readonly memory?: {
    /** the memory never grows beyond this; default 1 GiB, or less where the host refuses that */
    readonly maximumBytes?: number | undefined;
  };
  /** virtual CPUs, default 1: per-CPU maps have that many values, whatever the machine has */
  readonly cpus?: number | undefined;
  /** of bpf_get_prandom_u32 and of hash functions; the same seed gives the same results */
  readonly seed?: number | undefined;
  /** gets the lines of bpf_trace_printk, without the kernel's prefix */
  readonly trace?: ((line: string) => void) | undefined;
  /**
   * Threads that run the events of sources and batches, each for its share of the virtual CPUs; results do not depend on their
   * number. Default 0: everything runs on the calling thread, as test runs and Hook.fire() always do.
   */
  readonly workers?: number | undefined;
  /** a worker died and was replaced */
  readonly onWorkerLoss?: ((loss: WorkerLoss) => void) | undefined;
  /**
   * Notes what programs read of kernel objects that nobody gave them: outside of an object, members that were not set, through
   * pointers that lead nowhere (Runtime.strayReads). Costs time, and needs all programs on the calling thread.
   */
  readonly strict?: boolean | undefined;
  /** network devices that test runs may name besides the loopback device */
  readonly devices?: readonly Device[] | undefined;
}

/** Throws MEMORY_UNAVAILABLE where the host refuses the memory. */
export function createRuntime(options: RuntimeOptions = {}): Runtime {
  return new Runtime(options);
}

export class Runtime {
  readonly hooks: Hooks;
  readonly #world: World;
  readonly #home: ProgramHome;
  readonly #tracepoints = new Map<string, { readonly args: TracepointArguments; readonly made: object }>();
  readonly #objects = new Set<LinkedObject>();
  /** sources being run */
  readonly #running = new Set<Promise<unknown>>();
  readonly #abort = new AbortController();
  readonly #crew: Crew | null;
  #statistics = 0;

  constructor(options: RuntimeOptions) {
    const { workers = 0, trace } = options;
    if (!Number.isInteger(workers) || workers < 0 || workers > MOST_WORKERS)
      throw new UsageError("USAGE", `workers is ${workers}: a number up to ${MOST_WORKERS} is needed`);
    if (options.strict === true && workers > 0) throw new UsageError("USAGE", "strict is for runtimes without workers");
    this.#world = new World({
      cpus: options.cpus ?? 1,
      lanes: workers + 1,
      maximumBytes: options.memory?.maximumBytes,
      seed: options.seed,
      trace: options.trace,
      strict: options.strict,
    });
    const devices = [LOOPBACK, ...(options.devices ?? [])];
    this.hooks = new Hooks(this.#world, devices);
    const crewOptions = { workers, trace: trace ?? (() => {}), onLoss: options.onWorkerLoss ?? (() => {}) };
    this.#crew = workers === 0 ? null : new Crew(this.#world, crewOptions);
    const { hooks } = this;
    this.#home = {
      world: this.#world,
      hooks,
      devices,
      crew: this.#crew,
      progArrays: new Set<ProgArrayMap>(),
      profiled: new ProfiledCode(this.#world),
    };
  }

  get cpus(): number {
    return this.#world.arena.cpus;
  }
  get closed(): boolean {
    return this.#abort.signal.aborted;
  }
  /** The threads that run programs besides the calling one, null: none. */
  get crew(): Crew | null {
    return this.#crew;
  }
  /** for sources, readers and maps of this runtime */
  get world(): World {
    return this.#world;
  }

  /** With `strict`: reads of kernel objects that found nothing so far, in the order in which they were first seen. Else none. */
  get strayReads(): readonly StrayRead[] {
    return this.#world.watch?.strays ?? [];
  }
  /** Begins anew. */
  clearStrayReads(): void {
    this.#world.watch?.clear();
  }

  /** Makes an object's maps and programs; what it throws: linkObject() in linker.ts. */
  async link(compiled: CompiledObject, options: LinkOptions = {}): Promise<LinkedObject> {
    this.#requireOpen();
    const object = await linkObject(this.#home, compiled, options);
    for (const known of this.#objects) if (known.closed) this.#objects.delete(known);
    this.#objects.add(object);
    return object;
  }

  /** A map of no object, to be given to several: `link(object, { reuse })`. */
  createMap(spec: MapSpec): BpfMap {
    this.#requireOpen();
    return createMap(this.#world, spec);
  }

  /**
   * The tracepoint of a definition in this runtime: programs attach to it as raw tracepoint of its name. Throws UsageError
   * where another definition has the name.
   */
  tracepoint<Args extends TracepointArguments>(definition: TracepointDefinition<Args>): Tracepoint<Args> {
    this.#requireOpen();
    const { name, args } = definition;
    const known = this.#tracepoints.get(name);
    if (known === undefined) {
      const hook = this.hooks.get("raw_tracepoint", name);
      hook.ctxBytes = Object.keys(args).length * 8;
      const made = new Tracepoint(this.#world, hook, definition);
      this.#tracepoints.set(name, { args, made });
      return made;
    }
    if (JSON.stringify(known.args) !== JSON.stringify(args)) {
      throw new UsageError("USAGE", `tracepoint ${name} is defined with other arguments`, { errno: "EEXIST" });
    }
    return known.made as unknown as Tracepoint<Args>;
  }

  /** Runs a source's events through the hooks that have links, to its end. Closing the runtime ends it. */
  async run(source: EventSource, options: PumpOptions = {}): Promise<PumpSummary> {
    this.#requireOpen();
    const closing = this.#abort.signal;
    const signal = options.signal === undefined ? closing : AbortSignal.any([closing, options.signal]);
    const run = pump({ world: this.#world, hooks: this.hooks, crew: this.#crew }, source, { ...options, signal });
    this.#running.add(run);
    try {
      return await run;
    } finally {
      this.#running.delete(run);
    }
  }

  /**
   * Measures the time of runs (LinkedProgram.stats, Link.ns) until what it returns is disposed of. Runs are always counted.
   * Kernel: BPF_ENABLE_STATS.
   */
  enableStats(): Disposable {
    this.#requireOpen();
    this.#statistics += 1;
    this.hooks.timed = true;
    let isEnabled = true;
    return {
      [Symbol.dispose]: () => {
        if (isEnabled) this.#statistics -= 1;
        isEnabled = false;
        if (this.#statistics === 0) this.hooks.timed = false;
      },
    };
  }

  /**
   * Samples what programs do until the profiler is stopped, those that were compiled with `profile`: load(…, { profile: true }).
   * One at a time. docs/profiling.md
   */
  async startProfile(options: ProfileOptions = {}): Promise<Profiler> {
    const { Profiler } = await import("./profile/profiler.ts");
    this.#requireOpen();
    const profiler = new Profiler(this.#world, this.#home.profiled, options);
    await profiler.begin();
    return profiler;
  }

  /** Ends what runs and closes every object. A source is closed at its next batch: asyncDispose waits for that. */
  close(): void {
    if (this.closed) return;
    this.#abort.abort();
    for (const object of this.#objects) object.close();
    this.#objects.clear();
    this.#crew?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await Promise.allSettled(this.#running);
    await this.#crew?.close();
  }

  #requireOpen(): void {
    if (this.closed) throw new UsageError("CLOSED", "the runtime is closed");
  }
}
