/** bpfjit as an engine of the benchmark: a workload's program on a hook, a batch of generated events in the arena. */
import { type LoadedObject, openObject, PerfEventArrayMap } from "../api/index.ts";
import type { OptimizeLevel } from "../compiler/index.ts";
import { PAGE_BYTES, PERF_SAMPLE } from "../spec/index.ts";
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
  /** bytes of its ring or perf buffers, each, a power of two; default: what the object, or a reader, asks for */
  readonly bufferBytes?: number;
}

/** By a workload's output: the type of the map that it goes to. */
const RECORD_MAPS = { none: null, records: "ringbuf", perf: "perf_event_array" } as const;

/** As a reader opens its buffers. */
const SAMPLE_TYPE = PERF_SAMPLE.RAW | PERF_SAMPLE.TIME | PERF_SAMPLE.CPU;

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
    const { workers = 0, optimize = 2, links = workload.links ?? 1, profile = false, bufferBytes } = options;
    const cpus = Math.max(1, workers);
    const opened = await openObject(workloadObject(workload.object), { optimize, profile });
    const programs = [workload.program, ...(workload.others ?? [])];
    for (const program of Object.values(opened.programs)) program.autoload = programs.includes(program.name);
    const outputs = Object.values(opened.maps).filter(
      ({ spec }) => spec.type === RECORD_MAPS[workload.output ?? "none"],
    );
    if (bufferBytes !== undefined)
      for (const map of outputs) if (map.spec.type === "ringbuf") map.maxEntries = bufferBytes;
    const object = await opened.load({ runtimeOptions: { cpus, workers } });
    const rig = new EventRig(object.runtime, payload, { cpus, bufferBytes });
    for (let link = 0; link < links; link++) rig.hook.attach(object.program(workload.program));
    for (const { name } of outputs) {
      const { raw } = object.map(name);
      if (raw instanceof PerfEventArrayMap && bufferBytes !== undefined)
        for (let cpu = 0; cpu < cpus; cpu++)
          raw.openBuffer(cpu, { pages: bufferBytes / PAGE_BYTES, sampleType: SAMPLE_TYPE });
    }
    // in place and lane by lane: in order of time, workers would have to note the time of every record
    const readers = outputs.map(({ name }) => object.reader(name));
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
