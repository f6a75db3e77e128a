/**
 * What every engine that runs inside a runtime shares: a hook, and a batch of generated events in the arena that fire it. The
 * driver is the runtime's own, so engines differ in their programs only.
 */
import type { Hook, Runtime } from "../api/index.ts";
import { BugError } from "../base/index.ts";
import { EVENT } from "../spec/index.ts";
import { EVENT_BYTES, EVENT_COUNT } from "./events.ts";
import { median } from "./statistics.ts";

/** The hook that the section names of bench/workloads/*.bpf.c say. */
const HOOK = "bench/event";

/** Of `time` in struct event. */
const TIME_OFFSET = 16;

/** What a batch of the workloads of one operation, or of a tool, writes at most: a record of 136 bytes an event. */
const BATCH_BYTES = 136 * EVENT_COUNT;
/** Of a ring, where nothing else is said. */
const BUFFER_BYTES = 4 * 2 ** 20;

interface RigOptions {
  /** virtual CPUs that the events take turns on, each with as many as one alone has */
  readonly cpus?: number;
  /** bytes of each ring or perf buffer */
  readonly bufferBytes?: number | undefined;
}

export class EventRig {
  readonly runtime: Runtime;
  readonly hook: Hook;
  /** address of the first EVENT, and of the first payload */
  readonly events: number;
  readonly contexts: number;
  readonly #count: number;
  /** batches that fill no more than half of a buffer */
  readonly #undrained: number;

  constructor(runtime: Runtime, payload: Uint8Array, { cpus = 1, bufferBytes = BUFFER_BYTES }: RigOptions = {}) {
    this.runtime = runtime;
    this.hook = runtime.hooks.get("tracepoint", HOOK);
    const { arena, idleTask } = runtime.world;
    this.contexts = arena.allocate(payload.length, 64);
    this.#count = cpus * EVENT_COUNT;
    this.#undrained = Math.max(1, Math.floor(bufferBytes / 2 / BATCH_BYTES));
    this.events = arena.allocate(this.#count * EVENT.bytes, 64);
    arena.bytes.set(payload, this.contexts);
    const blocks = Array.from({ length: cpus }, (_, cpu) => arena.cpu(cpu));
    const { view } = arena;
    for (let i = 0; i < this.#count; i++) {
      const at = this.events + i * EVENT.bytes;
      view.setUint32(at + EVENT.ctx, this.contexts + Math.floor(i / cpus) * EVENT_BYTES, true);
      view.setUint32(at + EVENT.cpu, blocks[i % cpus]!, true);
      view.setBigUint64(at + EVENT.time, 1_000_000_000n + BigInt(i), true);
      view.setUint32(at + EVENT.task, idleTask, true);
      view.setUint32(at + EVENT.hook, this.hook.address, true);
      view.setUint32(at + EVENT.size, EVENT_BYTES, true);
    }
  }

  /**
   * ns an event, of the median of `batches` batches: the machine may run something else in the middle of one, which the
   * kernel's timer leaves out of its baseline too. `drain` is called between them and not timed, as in the baseline.
   */
  run(batches: number, drain: () => number): number {
    const times: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      let elapsedNs = 0n;
      for (let done = 0; done < this.#count; ) {
        const started = process.hrtime.bigint();
        const ran = this.runtime.hooks.fireBatch(this.events + done * EVENT.bytes, this.#count - done);
        elapsedNs += process.hrtime.bigint() - started;
        if (drain() === 0 && ran === 0) throw new BugError("the batch driver stands still");
        done += ran;
      }
      times.push(Number(elapsedNs) / this.#count);
    }
    return median(times);
  }

  /** Runs all events once; what they write stays in its buffer. */
  fill(): void {
    for (let done = 0; done < this.#count; )
      done += this.runtime.hooks.fireBatch(this.events + done * EVENT.bytes, this.#count - done);
  }

  /** Runs the first event as of now: its payload's time is that of the monotonic clock. */
  fireNow(): void {
    const { view } = this.runtime.world.arena;
    view.setBigUint64(this.contexts + TIME_OFFSET, process.hrtime.bigint(), true);
    this.runtime.hooks.fireBatch(this.events, 1);
  }

  /** The same on a worker's thread. */
  async fireNowThere(): Promise<void> {
    const { view } = this.runtime.world.arena;
    view.setBigUint64(this.contexts + TIME_OFFSET, process.hrtime.bigint(), true);
    await this.runtime.crew!.run(this.events, 1);
  }

  /**
   * The same by all workers at once: ns that the slowest of them ran, for each event of all. `drain` is called between runs, and where
   * a buffer fills, when nobody runs; null: there is nothing to drain. They slept: the first batch, which finds their caches cold, is
   * not timed, as the median of one thread's batches leaves it out.
   */
  async runTogether(batches: number, drain: (() => number) | null): Promise<number> {
    const crew = this.runtime.crew!;
    const relieve = async (): Promise<void> => {
      drain?.();
    };
    await crew.run(this.events, this.#count, { relieve });
    drain?.();
    crew.takeElapsed();
    const most = drain === null ? batches : this.#undrained;
    for (let done = 0; done < batches; done += most) {
      await crew.run(this.events, this.#count, { times: Math.min(most, batches - done), relieve });
      drain?.();
    }
    const slowest = crew.takeElapsed().reduce((longest, elapsed) => (elapsed > longest ? elapsed : longest));
    return Number(slowest) / (batches * this.#count);
  }
}
