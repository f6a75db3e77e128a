/** bpfjit as an engine of the benchmark: a workload's program on a hook, a batch of generated events in the arena. */
import { type LoadedObject, load } from "../api/index.ts";
import type { OptimizeLevel } from "../compiler/index.ts";
import { workloadObject } from "./assets.ts";
import { EventRig } from "./rig.ts";
import type { Workload } from "./workloads.ts";

export interface EngineOptions {
  /** threads that share the events, each with a virtual CPU; 0, the default: the calling thread runs them */
  readonly workers?: number;
  /** default: the last tier */
  readonly optimize?: OptimizeLevel;
  /** how often the program is attached to the hook; default: the workload's own number */
  readonly links?: number;
  /** compiled so that it can be profiled */
  readonly profile?: boolean;
}

/** By a workload's output: the type of the map that it goes to. */
const RECORD_MAPS = { none: null, records: "ringbuf", perf: "perf_event_array" } as const;

export class BpfjitEngine {
  readonly object: LoadedObject;
  readonly #rig: EventRig;
  readonly #drain: () => number;
  readonly #hasOutput: boolean;

  private constructor(object: LoadedObject, rig: EventRig, drain: (() => number) | null) {
    this.object = object;
    this.#rig = rig;
    this.#drain = drain ?? (() => 0);
    this.#hasOutput = drain !== null;
  }

  static async start(workload: Workload, payload: Uint8Array, options: EngineOptions = {}): Promise<BpfjitEngine> {
    const { workers = 0, optimize = 2, links = workload.links ?? 1, profile = false } = options;
    const cpus = Math.max(1, workers);
    const object = await load(workloadObject(workload.object), {
      programs: [workload.program, ...(workload.others ?? [])],
      optimize,
      profile,
      runtimeOptions: { cpus, workers },
    });
    const rig = new EventRig(object.runtime, payload, cpus);
    for (let link = 0; link < links; link++) rig.hook.attach(object.program(workload.program));
    // in place and lane by lane: in order of time, workers would have to note the time of every record
    const readers = Object.values(object.maps)
      .filter(({ type }) => type === RECORD_MAPS[workload.output ?? "none"])
      .map(({ name }) => object.reader(name));
    const drain = (): number => readers.reduce((sum, reader) => sum + reader.drain(() => {}), 0);
    return new BpfjitEngine(object, rig, readers.length === 0 ? null : drain);
  }

  /** See EventRig.run(). */
  run(batches: number): number {
    return this.#rig.run(batches, this.#drain);
  }

  runTogether(batches: number): Promise<number> {
    return this.#rig.runTogether(batches, this.#hasOutput ? this.#drain : null);
  }

  close(): void {
    this.object.close();
  }
}
