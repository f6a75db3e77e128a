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

export class BpfjitEngine {
  readonly object: LoadedObject;
  readonly #rig: EventRig;
  readonly #drain: () => number;

  private constructor(object: LoadedObject, rig: EventRig, drain: () => number) {
    this.object = object;
    this.#rig = rig;
    this.#drain = drain;
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
    const reading = workload.output === null ? null : object.openRecords(() => {});
    return new BpfjitEngine(object, rig, () => reading?.drain() ?? 0);
  }

  /** See EventRig.run(). */
  run(batches: number): number {
    return this.#rig.run(batches, this.#drain);
  }

  runTogether(batches: number): Promise<number> {
    return this.#rig.runTogether(batches, this.#drain);
  }

  close(): void {
    this.object.close();
  }
}
