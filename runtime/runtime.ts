/** A runtime: one world of memory, maps, programs and hooks. Nothing of it is global; two runtimes never see each other. */
import { UsageError } from "../base/index.ts";
import type { CompiledObject, MapSpec } from "../spec/index.ts";
import { type Device, LOOPBACK } from "./device.ts";
import { Hooks } from "./hooks.ts";
import { type LinkOptions, linkObject } from "./linker.ts";
import { type BpfMap, createMap, type ProgArrayMap } from "./maps/index.ts";
import type { LinkedObject } from "./object.ts";
import type { ProgramHome } from "./program.ts";
import { type PumpOptions, type PumpSummary, pump } from "./pump.ts";
import type { EventSource } from "./source.ts";
import { World } from "./world.ts";

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
  readonly #objects = new Set<LinkedObject>();
  /** sources being run */
  readonly #running = new Set<Promise<unknown>>();
  readonly #abort = new AbortController();

  constructor(options: RuntimeOptions) {
    this.#world = new World({
      cpus: options.cpus ?? 1,
      maximumBytes: options.memory?.maximumBytes,
      seed: options.seed,
      trace: options.trace,
    });
    const devices = [LOOPBACK, ...(options.devices ?? [])];
    this.hooks = new Hooks(this.#world, devices);
    this.#home = { world: this.#world, hooks: this.hooks, devices, progArrays: new Set<ProgArrayMap>() };
  }

  get cpus(): number {
    return this.#world.arena.cpus;
  }
  get closed(): boolean {
    return this.#abort.signal.aborted;
  }
  /** for sources, readers and maps of this runtime */
  get world(): World {
    return this.#world;
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

  /** Runs a source's events through the hooks that have links, to its end. Closing the runtime ends it. */
  async run(source: EventSource, options: PumpOptions = {}): Promise<PumpSummary> {
    this.#requireOpen();
    const closing = this.#abort.signal;
    const signal = options.signal === undefined ? closing : AbortSignal.any([closing, options.signal]);
    const run = pump({ world: this.#world, hooks: this.hooks }, source, { ...options, signal });
    this.#running.add(run);
    try {
      return await run;
    } finally {
      this.#running.delete(run);
    }
  }

  /** Ends what runs and closes every object. A source is closed at its next batch: asyncDispose waits for that. */
  close(): void {
    if (this.closed) return;
    this.#abort.abort();
    for (const object of this.#objects) object.close();
    this.#objects.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await Promise.allSettled(this.#running);
  }

  #requireOpen(): void {
    if (this.closed) throw new UsageError("CLOSED", "the runtime is closed");
  }
}
