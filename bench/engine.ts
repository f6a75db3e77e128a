/** bpfjit as an engine of the benchmark: a workload's program on a hook, a batch of generated events in the arena. */
import { type LoadedObject, load } from "../api/index.ts";
import { BugError } from "../base/index.ts";
import { EVENT } from "../spec/index.ts";
import { EVENT_BYTES, EVENT_COUNT } from "./events.ts";
import { median } from "./statistics.ts";
import type { Workload } from "./workloads.ts";

/** The hook that the section names of bench/workloads/workloads.bpf.c say. */
const HOOK = "bench/event";

export class BpfjitEngine {
  readonly #object: LoadedObject;
  readonly #events: number;
  readonly #drain: () => number;

  private constructor(object: LoadedObject, events: number, drain: () => number) {
    this.#object = object;
    this.#events = events;
    this.#drain = drain;
  }

  /** `workers`: threads that share the events, each with a virtual CPU; 0: the calling thread runs them. */
  static async start(objectPath: string, workload: Workload, payload: Uint8Array, workers = 0): Promise<BpfjitEngine> {
    const cpus = Math.max(1, workers);
    const object = await load(objectPath, {
      programs: [workload.program],
      optimize: 2,
      runtimeOptions: { cpus, workers },
    });
    const { runtime } = object;
    const { arena, idleTask } = runtime.world;
    const hook = runtime.hooks.get("tracepoint", HOOK);
    hook.attach(object.program(workload.program));
    const reading = workload.output === null ? null : object.openRecords(() => {});
    const contexts = arena.allocate(payload.length, 64);
    const events = arena.allocate(EVENT_COUNT * EVENT.bytes, 64);
    arena.bytes.set(payload, contexts);
    for (let cpu = 0; cpu < cpus; cpu++) arena.cpu(cpu);
    const { view } = arena;
    for (let i = 0; i < EVENT_COUNT; i++) {
      const at = events + i * EVENT.bytes;
      view.setUint32(at + EVENT.ctx, contexts + i * EVENT_BYTES, true);
      view.setUint32(at + EVENT.cpu, arena.cpu(i % cpus), true);
      view.setBigUint64(at + EVENT.time, 1_000_000_000n + BigInt(i), true);
      view.setUint32(at + EVENT.task, idleTask, true);
      view.setUint32(at + EVENT.hook, hook.address, true);
      view.setUint32(at + EVENT.size, EVENT_BYTES, true);
    }
    return new BpfjitEngine(object, events, () => reading?.drain() ?? 0);
  }

  /**
   * ns an event, of the median of `batches` batches: the machine may run something else in the middle of one, which the
   * kernel's timer leaves out of its baseline too. Readers drain between them and are not timed, as in the baseline.
   */
  run(batches: number): number {
    const times: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      let elapsedNs = 0n;
      for (let done = 0; done < EVENT_COUNT; ) {
        const started = process.hrtime.bigint();
        const ran = this.#object.runtime.hooks.fireBatch(this.#events + done * EVENT.bytes, EVENT_COUNT - done);
        elapsedNs += process.hrtime.bigint() - started;
        if (this.#drain() === 0 && ran === 0) throw new BugError("the batch driver stands still");
        done += ran;
      }
      times.push(Number(elapsedNs) / EVENT_COUNT);
    }
    return median(times);
  }

  /** The same by all workers at once: ns that the slowest of them ran, for each event of all. */
  async runTogether(batches: number): Promise<number> {
    const crew = this.#object.runtime.crew!;
    crew.takeElapsed();
    const relieve = async (): Promise<void> => {
      this.#drain();
    };
    await crew.run(this.#events, EVENT_COUNT, { times: batches, relieve });
    this.#drain();
    const slowest = crew.takeElapsed().reduce((most, elapsed) => (elapsed > most ? elapsed : most));
    return Number(slowest) / (batches * EVENT_COUNT);
  }

  close(): void {
    this.#object.close();
  }
}
