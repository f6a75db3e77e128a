/** A source of events given by a test: what it yields is laid out in the arena as a decoder would do it. */
import type {
  EventBatch,
  EventSource,
  SourceEvent,
  SourceLoss,
  SourceProgress,
  SourceWorld,
  WantedHook,
} from "../../runtime/index.ts";
import { EVENT, TASK } from "../../spec/index.ts";

export interface FakeEvent {
  readonly name: string;
  readonly payload: Uint8Array;
  readonly timeNs?: bigint;
  readonly cpu?: number;
  readonly pid?: number;
}

export interface FakeSourceOptions {
  readonly batchEvents?: number;
  readonly cpus?: number;
  readonly events?: readonly SourceEvent[] | null;
  readonly lost?: readonly SourceLoss[];
  /** thrown by the nextBatch() behind the last event */
  readonly failure?: Error;
  /** memory that comes with the events, by address */
  readonly memory?: ReadonlyMap<bigint, Uint8Array>;
}

export class FakeSource implements EventSource {
  readonly name = "fake";
  readonly cpus: number;
  readonly events: readonly SourceEvent[] | null;
  readonly lost: readonly SourceLoss[];
  closed = 0;
  readonly #given: readonly FakeEvent[];
  readonly #options: FakeSourceOptions;
  #at = 0;
  #world: SourceWorld | null = null;
  #hooks = new Map<string, number>();
  #batch: number[] = [];

  constructor(given: readonly FakeEvent[], options: FakeSourceOptions = {}) {
    this.#given = given;
    this.#options = options;
    this.cpus = options.cpus ?? 1;
    this.events = options.events ?? null;
    this.lost = options.lost ?? [];
  }

  get progress(): SourceProgress {
    return { done: this.#at, total: this.#given.length };
  }

  async open(world: SourceWorld, wanted: readonly WantedHook[]): Promise<void> {
    this.#world = world;
    this.#hooks = new Map(wanted.map(({ name, address }) => [name, address]));
  }

  async nextBatch(): Promise<EventBatch | null> {
    const world = this.#world!;
    for (const address of this.#batch.splice(0)) world.free(address);
    const part = this.#given.slice(this.#at, this.#at + (this.#options.batchEvents ?? 100));
    this.#at += part.length;
    if (part.length === 0 && this.#options.failure !== undefined) throw this.#options.failure;
    if (part.length === 0) return null;
    const wanted = part.filter(({ name }) => this.#hooks.has(name));
    const address = this.#allocate(Math.max(1, wanted.length) * EVENT.bytes);
    for (const [index, event] of wanted.entries()) this.#write(address + index * EVENT.bytes, event);
    return { address, count: wanted.length };
  }

  readForeign(address: bigint, destination: number, bytes: number): number {
    const known = this.#options.memory?.get(address)?.subarray(0, bytes) ?? new Uint8Array(0);
    this.#world!.bytes.set(known, destination);
    return known.length;
  }

  async close(): Promise<void> {
    this.closed++;
  }

  #allocate(bytes: number): number {
    const address = this.#world!.allocate(bytes);
    this.#batch.push(address);
    return address;
  }

  #write(at: number, event: FakeEvent): void {
    const world = this.#world!;
    const ctx = this.#allocate(event.payload.length);
    const task = event.pid === undefined ? world.idleTask : this.#allocate(TASK.bytes);
    world.bytes.set(event.payload, ctx);
    const { view } = world;
    if (event.pid !== undefined) {
      view.setUint32(task + TASK.pid, event.pid, true);
      view.setUint32(task + TASK.tgid, event.pid, true);
    }
    view.setUint32(at + EVENT.ctx, ctx, true);
    view.setUint32(at + EVENT.cpu, world.cpuBlock(event.cpu ?? 0), true);
    view.setBigUint64(at + EVENT.time, event.timeNs ?? 0n, true);
    view.setUint32(at + EVENT.task, task, true);
    view.setUint32(at + EVENT.hook, this.#hooks.get(event.name)!, true);
    view.setUint32(at + EVENT.size, event.payload.length, true);
  }
}
