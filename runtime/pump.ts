/**
 * Drives a source: batch after batch through the hooks, until its end. When a ring producer has passed half of its buffer
 * the batch stops, readers get their turn, and it goes on where it stopped: in a replay nothing is lost while somebody reads.
 */
import { AttachError, CaptureError, UsageError } from "../base/index.ts";
import { DEFAULT_ARCHITECTURE, EVENT, hookSpec } from "../spec/index.ts";
import type { Hook } from "./hook.ts";
import type { Hooks } from "./hooks.ts";
import { monotonicNs, nextTurn } from "./host.ts";
import { Room } from "./room.ts";
import type { EventBatch, EventSource, SourceLoss, SourceProgress, SourceWorld, WantedHook } from "./source.ts";
import { requireLayout as requireFields } from "./sources/layout.ts";
import type { TaskInfo } from "./task.ts";
import type { Crew } from "./workers/crew.ts";
import type { World } from "./world.ts";

/** What the pump waits for: a RecordReader of runtime/rings/ is one. */
export interface Relief {
  /** resolves when no buffer is more than half full, or nobody reads any more */
  relieved(): Promise<void>;
}

export interface PumpProgress extends SourceProgress {
  readonly events: number;
}

export interface PumpOptions {
  /** readers to wait for when their buffers fill */
  readonly readers?: readonly Relief[] | undefined;
  /** called when buffers fill and after the last event, before readers are waited for: drains in place */
  readonly drain?: (() => void) | undefined;
  /**
   * Called after each event, with its address, for whoever must know which event wrote a record. True: readers are waited for
   * before the next one. Every event is then a call of its own into Wasm, which is slower.
   */
  readonly afterEvent?: ((event: number) => boolean) | undefined;
  /**
   * CPUs run side by side although their programs share maps, as on a live machine. What comes out then depends on timing where
   * the order of events of different CPUs matters. Default: only where it cannot be seen.
   */
  readonly concurrent?: boolean | undefined;
  /** what programs see of a task beyond what its events tell, by thread id; default: what the source says of it */
  readonly tasks?: ((tid: number) => TaskInfo | null) | undefined;
  /** called after each batch */
  readonly onProgress?: ((progress: PumpProgress) => void) | undefined;
  /** ends the run after the event under way; the summary then says so */
  readonly signal?: AbortSignal | undefined;
}

export interface PumpSummary {
  /** events that ran */
  readonly events: number;
  /** what the source says was lost before it came here */
  readonly lost: readonly SourceLoss[];
  /** hooks with links for which the source has no events */
  readonly missing: readonly WantedHook[];
  /** the input ended in the middle of a record; what came before was run */
  readonly truncated: CaptureError | null;
  readonly aborted: boolean;
}

/** How long batches may follow each other without timers, input and output getting a turn. */
const LONGEST_WITHOUT_TURN_NS = 10_000_000n;

/** Sources that have been run: their input is used up. */
const SPENT = new WeakSet<EventSource>();

/** Opens the source and closes it, whatever happens. Throws UsageError for a source that was run before. */
export async function pump(
  { world, hooks, crew }: { readonly world: World; readonly hooks: Hooks; readonly crew: Crew | null },
  source: EventSource,
  options: PumpOptions = {},
): Promise<PumpSummary> {
  if (SPENT.has(source)) throw new UsageError("CLOSED", `${source.name} was run before: open it anew`);
  SPENT.add(source);
  const room = new Room(world);
  const abort = new AbortController();
  const onAbort = (): void => abort.abort(options.signal?.reason);
  if (options.signal?.aborted === true) onAbort();
  options.signal?.addEventListener("abort", onAbort);
  const run = new Run({ world, hooks, crew }, source, options, abort.signal);
  try {
    requireCpus(source, world);
    const wanted = hooks.wanted();
    const missing = wanted.filter((hook) => !offers(source, hook));
    requireLayout(hooks, source);
    run.describeTasks();
    await source.open(sourceWorld(world, room, abort.signal), wanted);
    const truncated = await run.all();
    const { events } = run;
    return { events, lost: source.lost, missing, truncated, aborted: abort.signal.aborted };
  } finally {
    options.signal?.removeEventListener("abort", onAbort);
    await source.close();
    world.kernel.tasks.describe = null;
    room.release();
  }
}

class Run {
  events = 0;
  readonly #world: World;
  readonly #crew: Crew | null;
  readonly #hooks: Hooks;
  readonly #source: EventSource;
  readonly #options: PumpOptions;
  readonly #signal: AbortSignal;
  #lastTurn = monotonicNs();

  constructor(
    { world, hooks, crew }: { readonly world: World; readonly hooks: Hooks; readonly crew: Crew | null },
    source: EventSource,
    options: PumpOptions,
    signal: AbortSignal,
  ) {
    this.#world = world;
    // whoever wants to know the event behind each record gets one after the other
    this.#crew = options.afterEvent === undefined ? crew : null;
    this.#hooks = hooks;
    this.#source = source;
    this.#options = options;
    this.#signal = signal;
  }

  /** Returns the error of an input that ends in the middle of a record. */
  async all(): Promise<CaptureError | null> {
    while (!this.#signal.aborted) {
      const batch = await this.#next();
      if (batch instanceof CaptureError) return batch;
      if (batch === null) break;
      await this.#runBatch(batch);
      if (this.#source.isLive === true) await this.#relieve();
      this.#options.onProgress?.({ ...this.#source.progress, events: this.events });
      await this.#turn();
    }
    await this.#relieve();
    return null;
  }

  /** Set anew before every batch: another pump may have run while this one waited. */
  describeTasks(): void {
    const { tasks = this.#source.describeTask } = this.#options;
    this.#world.kernel.tasks.describe = tasks ?? null;
  }

  async #next(): Promise<EventBatch | CaptureError | null> {
    this.describeTasks();
    try {
      return await this.#source.nextBatch();
    } catch (error) {
      if (!(error instanceof CaptureError && error.code === "CAPTURE_TRUNCATED")) throw error;
      await this.#relieve();
      return error;
    }
  }

  async #runBatch(batch: EventBatch): Promise<void> {
    let { address, count } = batch;
    this.describeTasks();
    if (this.#crew !== null && (this.#options.concurrent === true || this.#crew.isIndependent(this.#hooks))) {
      const hasReaders = this.#options.drain !== undefined || (this.#options.readers ?? []).length > 0;
      const relieve = hasReaders ? () => this.#relieve() : undefined;
      this.events += await this.#crew.run(address, count, { relieve, signal: this.#signal, foreign: this.#source });
      return;
    }
    while (count > 0 && !this.#signal.aborted) {
      // set anew every time: another pump may have run while this one waited
      this.#world.foreign = this.#source;
      let done: number;
      try {
        done = this.#runSome(address, count);
      } finally {
        this.#world.foreign = null;
      }
      this.events += done;
      address += done * EVENT.bytes;
      count -= done;
      if (count > 0) await this.#relieve();
    }
  }

  /** Runs up to `count` events, fewer where readers want their turn; returns how many. */
  #runSome(address: number, count: number): number {
    const { afterEvent } = this.#options;
    if (afterEvent === undefined) return this.#world.runEvents(address, count);
    for (let done = 0; done < count; done++) {
      const event = address + done * EVENT.bytes;
      this.#world.runEvents(event, 1);
      if (afterEvent(event)) return done + 1;
    }
    return count;
  }

  async #relieve(): Promise<void> {
    this.#options.drain?.();
    for (const reader of this.#options.readers ?? []) await reader.relieved();
  }

  async #turn(): Promise<void> {
    if (monotonicNs() - this.#lastTurn < LONGEST_WITHOUT_TURN_NS) return;
    await nextTurn();
    this.#lastTurn = monotonicNs();
  }
}

function sourceWorld(world: World, room: Room, signal: AbortSignal): SourceWorld {
  return {
    get bytes() {
      return world.bytes;
    },
    get view() {
      return world.view;
    },
    cpus: world.arena.cpus,
    cpuBlock: (id) => world.arena.cpu(id),
    allocate: (bytes, alignment) => room.allocate(bytes, alignment),
    free: (address) => room.free(address),
    idleTask: world.idleTask,
    kernel: world.kernel,
    currentEvent: () => world.currentEvent(),
    signal,
  };
}

function requireCpus(source: EventSource, world: World): void {
  if (source.cpus <= world.arena.cpus) return;
  throw new UsageError("USAGE", `${source.name} has ${source.cpus} CPUs, the runtime ${world.arena.cpus}`, {
    hint: "make the runtime with as many: createRuntime({ cpus: source.cpus })",
  });
}

const offers = (source: EventSource, hook: WantedHook): boolean =>
  source.events === null || source.events.some(({ kind, name }) => kind === hook.kind && name === hook.name);

/** Registers are those of one machine. */
function requireMachine({ kind, name, links }: Hook, { architecture, name: source }: EventSource): void {
  const { context } = hookSpec(kind);
  if (architecture === undefined || (context !== "registers" && context !== "perfEvent")) return;
  for (const { program } of links) {
    const { manifest } = program;
    const prepared = manifest.architecture ?? DEFAULT_ARCHITECTURE;
    if (prepared === architecture) continue;
    const message = `program ${manifest.name} was prepared for ${prepared}, ${kind} ${name} in ${source} has registers of ${architecture}`;
    throw new AttachError("ATTACH_TYPE", message, { where: { program: manifest.name } });
  }
}

/** Programs were compiled for one layout of an event, the input may have another. Kernel: perf_event_attach_bpf_prog(). */
function requireLayout(hooks: Hooks, source: EventSource): void {
  for (const { kind, name } of hooks.wanted()) {
    requireMachine(hooks.get(kind, name), source);
    const offered = source.events?.find((event) => event.kind === kind && event.name === name);
    const described = offered ?? source.describe?.(kind, name) ?? null;
    if (described === null) continue;
    const { ctxBytes, type } = described;
    for (const { program } of hooks.get(kind, name).links) {
      const { manifest } = program;
      if (manifest.ctxType !== undefined && type) requireFields(manifest.name, manifest.ctxType, name, type);
      const read = manifest.ctxBytes ?? 0;
      if (ctxBytes === null || read <= ctxBytes) continue;
      throw new AttachError(
        "ATTACH_TYPE",
        `program ${manifest.name} reads ${read} bytes of ctx, events of ${name} in ${source.name} have ${ctxBytes}`,
        { where: { program: manifest.name }, errno: kind === "tracepoint" ? "EACCES" : "EINVAL" },
      );
    }
  }
}
