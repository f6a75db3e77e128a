/**
 * A live process, or a command, as an event source. An instance of the kernel's tracing records the events that hooks want,
 * of these threads only; their pages are read into the arena (cpu-ring.ts) by a timer, put into order of time, and handed on
 * where they lie. Everything that is made in tracefs goes away with the source, or with this process.
 */
import { DEFAULT_ARCHITECTURE, EVENT, type HookKind, TASK } from "../../../spec/index.ts";
import type {
  EventBatch,
  EventSource,
  SourceEvent,
  SourceLoss,
  SourceProgress,
  SourceWorld,
  WantedHook,
} from "../../source.ts";
import type { TaskInfo } from "../../task.ts";
import { ArenaMemory } from "../memory.ts";
import { RunQueue } from "../order.ts";
import { TaskTable } from "../tasks.ts";
import { Batch } from "./batch.ts";
import type { ChildStatus } from "./child.ts";
import { CpuRings } from "./cpu-ring.ts";
import { Emission } from "./emission.ts";
import type { LiveProbes, UserMemory } from "./events.ts";
import { Instance, possibleCpus } from "./instance.ts";
import type { UserReads } from "./options.ts";
import { makeOwnerName } from "./owner.ts";
import { Pace } from "./pace.ts";
import { parsePageLayout, type TimeBase } from "./page.ts";
import { describeEvent, planEvents } from "./plan.ts";
import { type UsdtHook, usdtHooks } from "./probes/index.ts";
import type { LiveSettings } from "./settings.ts";
import { followTarget, type Target } from "./target.ts";
import { taskEvents } from "./task-events.ts";
import { describeThread, forgetPassing, makeTracking, type TaskTracking, taskOf } from "./tracking.ts";

/** How long what /proc said of threads that are not traced is believed. */
const PASSING_MS = 2000;
const WORD = 2 ** 32;

export class LiveSource implements EventSource {
  readonly cpus = possibleCpus();
  readonly isLive = true;
  /** its probes are events that name registers */
  readonly architecture = DEFAULT_ARCHITECTURE;
  /** far too many to list: describe() knows them */
  readonly events = null;
  readonly describeTask = (tid: number): TaskInfo | null => describeThread(this.#tracking, tid);
  readonly #settings: LiveSettings;
  readonly #target: Target;
  readonly #queue = new RunQueue();
  readonly #pace = new Pace();
  #rings: CpuRings | null = null;
  #instance: Instance | null = null;
  #probes: readonly LiveProbes[] = [];
  #userMemory: UserMemory | null = null;
  #world!: SourceWorld;
  #tracking!: TaskTracking;
  #batch!: Batch;
  #emission!: Emission;
  #base: TimeBase = { low: 0, high: 0 };
  /** up to here every record has been read, ns since the base */
  #final = Number.NEGATIVE_INFINITY;
  #merging = false;
  #stopping = false;
  #ended = false;
  #begun = false;
  #deadline = Number.POSITIVE_INFINITY;
  #forgetAt = 0;
  #lost: readonly SourceLoss[] | null = null;
  #cpuUse = 0;
  readonly #onExit = (): void => this.#dispose();
  readonly #onAbort = (): void => this.#pace.wake();

  /** Made by openLive(). */
  constructor(settings: LiveSettings, target: Target) {
    this.#settings = settings;
    this.#target = target;
  }

  get name(): string {
    return this.#target.name;
  }
  get lost(): readonly SourceLoss[] {
    if (this.#lost !== null) return this.#lost;
    const rings = this.#rings?.list ?? [];
    return rings.filter(({ missed }) => missed > 0n).map(({ cpu, missed }) => ({ cpu, count: missed }));
  }
  get progress(): SourceProgress {
    return { done: (this.#rings?.list ?? []).reduce((sum, ring) => sum + ring.bytesRead, 0), total: null };
  }
  /** How the traced command ended; null: it runs, or it is no command. */
  get status(): ChildStatus | null {
    return this.#target.child?.status ?? null;
  }
  /** The traced command was let go. It is not where the source was ended before everything was attached. */
  get hasBegun(): boolean {
    return this.#begun;
  }
  /** Processor time that this process used while the source was open, in seconds. */
  get cpuSeconds(): number {
    return this.#cpuUse;
  }

  /** Reads of the traced processes' memory so far, by where the bytes came from. */
  get userReads(): UserReads {
    return this.#settings.userReads;
  }

  usdtHooks(probe: string): readonly UsdtHook[] {
    const { description } = this.#target;
    return usdtHooks(probe, "path" in description ? null : description.pid);
  }

  describe(kind: HookKind, name: string): SourceEvent | null {
    return describeEvent(this.#settings.tracefs, kind, name);
  }

  /** Ends the source early: nothing more is recorded, what was recorded is handed on still. */
  stop(): void {
    this.#stopping = true;
    this.#pace.wake();
  }

  async open(world: SourceWorld, wanted: readonly WantedHook[]): Promise<void> {
    const usage = process.cpuUsage();
    this.#cpuUse = -(usage.user + usage.system) / 1e6;
    this.#world = world;
    process.on("exit", this.#onExit);
    world.signal.addEventListener("abort", this.#onAbort);
    const { tracefs, bufferKilobytes } = this.#settings;
    await this.#target.start();
    const memory = new ArenaMemory(world);
    const tasks = new TaskTable(memory, this.cpus);
    this.#tracking = makeTracking(
      memory,
      tasks,
      wanted.some(({ reads }) => reads?.owner !== false),
    );
    this.#batch = new Batch(memory, this.cpus);
    const owner = makeOwnerName();
    const place = { tracefs, owner, target: this.#target.description, world };
    const { rawWorld: raw, shown } = this.#rawWorld();
    const planned = planEvents(place, wanted, this.#settings.probers, { world: raw, shown });
    this.#probes = planned.probes;
    this.#userMemory = wanted.length === 0 ? null : (this.#settings.userMemory?.(place, wanted) ?? null);
    const tracked = [...(this.#userMemory?.events ?? []), ...taskEvents(tracefs, this.#tracking)];
    this.#emission = new Emission({
      events: [...planned.events, ...tracked],
      tracking: this.#tracking,
      queue: this.#queue,
      batch: this.#batch,
      shown,
      userMemory: this.#userMemory,
      held: this.#target.child === null ? null : { tid: this.#target.child.pid, tracefs },
      eventsMax: this.#settings.eventsMax,
    });
    this.#begin(new Instance(tracefs, owner, { bufferKilobytes }), memory);
  }

  /** From here on the kernel records. */
  #begin(instance: Instance, memory: ArenaMemory): void {
    this.#instance = instance;
    const layout = parsePageLayout(instance.files.read("events/header_page"));
    const cpus = instance.cpus().filter((cpu) => cpu < this.cpus);
    const pathOf = (cpu: number): string => `${instance.path}/per_cpu/cpu${cpu}/trace_pipe_raw`;
    this.#rings = new CpuRings(memory, layout, cpus, pathOf);
    this.#emission.rings = this.#rings;
    const now = process.hrtime.bigint();
    this.#base = { low: Number(now & 0xffff_ffffn), high: Number(now >> 32n) };
    this.#emission.base = this.#base;
    followTarget(instance, this.#target, this.#tracking);
    for (const { name, filter } of this.#emission.recorded) instance.enable(name, filter);
    this.#pace.start(this.#settings.bufferKilobytes * 1024);
  }

  /** Null where no raw tracepoint is wanted is not worth a case of its own. */
  #rawWorld(): { readonly rawWorld: Parameters<typeof planEvents>[3]["world"]; readonly shown: Set<number> } {
    const world = this.#world;
    const rawWorld = {
      kernel: world.kernel,
      get bytes() {
        return world.bytes;
      },
      get view() {
        return world.view;
      },
      task: (tid: number, cpu: number) => taskOf(this.#tracking, tid, cpu),
    };
    return { rawWorld, shown: new Set() };
  }

  async nextBatch(): Promise<EventBatch | null> {
    this.#release();
    if (!this.#begun && !this.#stopping && !this.#world.signal.aborted) {
      this.#begun = true;
      this.#deadline = performance.now() + this.#settings.durationSeconds * 1000;
      this.#target.child?.release();
      this.#target.child?.ended.then(() => this.#pace.wake());
    }
    for (;;) {
      if (this.#world.signal.aborted) return null;
      if (this.#merging) {
        const count = this.#emission.next();
        if (count > 0) return { address: this.#batch.address, count };
        this.#merging = false;
        this.#recycle();
      }
      if (this.#emission.isFull) this.#end();
      if (this.#ended) return null;
      await this.#pace.turn(this.#deadline);
      this.#round();
    }
  }

  /**
   * Reads what there is, and begins to hand on what no later read can come before: what is older than the round before this
   * one, as far as every ring was read to its end there.
   */
  #round(): void {
    const isLast = this.#isOver();
    const { unneeded } = this.#emission;
    if (unneeded !== null) this.#instance!.disable(unneeded);
    const started = this.#now();
    const before = this.progress.done;
    const rings = this.#rings!.list;
    for (const ring of rings) ring.refill(this.#base, this.#emission);
    const areDrained = rings.every(({ isDrained }) => isDrained);
    this.#pace.took(this.progress.done - before, areDrained);
    let final = started;
    for (const { isDrained, lastTime } of rings) if (!isDrained && lastTime < final) final = lastTime;
    const limit = isLast ? final : this.#final;
    this.#final = final;
    if (isLast && areDrained) {
      this.#end();
      this.#emission.begin(Number.POSITIVE_INFINITY);
    } else this.#emission.begin(limit);
    this.#merging = true;
  }

  /** From the first time on that it is true, nothing more is recorded. */
  #isOver(): boolean {
    if (!this.#stopping && !this.#target.isOver() && performance.now() < this.#deadline) return false;
    this.#stopRecording();
    return true;
  }

  #stopRecording(): void {
    if (this.#lost !== null) return;
    this.#instance!.stop();
    this.#stopping = true;
    this.#lost = this.#instance!.statistics()
      .filter(({ lost }) => lost > 0n)
      .map(({ cpu, lost }) => ({ cpu, count: lost }));
  }

  #end(): void {
    this.#stopRecording();
    this.#ended = true;
  }

  /** Pages whose records have all been handed on take new ones. */
  #recycle(): void {
    this.#queue.finish();
    this.#rings!.recycle(this.#queue.records, this.#queue.length);
  }

  #release(): void {
    this.#batch.release();
    this.#userMemory?.release();
    this.#tracking.tasks.release();
    const now = performance.now();
    if (now < this.#forgetAt) return;
    this.#forgetAt = now + PASSING_MS;
    forgetPassing(this.#tracking);
  }

  #now(): number {
    const now = process.hrtime.bigint();
    return (Number(now >> 32n) - this.#base.high) * WORD + (Number(now & 0xffff_ffffn) - this.#base.low);
  }

  readForeign(address: bigint, destination: number, bytes: number, space: "kernel" | "user", isText = false): number {
    if (space !== "user" || this.#userMemory === null) return 0;
    const { view } = this.#world;
    const event = this.#world.currentEvent();
    const task = event === 0 ? 0 : view.getUint32(event + EVENT.task, true);
    const tgid = task === 0 ? 0 : view.getUint32(task + TASK.tgid, true);
    return this.#userMemory.read(event, tgid, { address, destination, bytes, isText });
  }

  async close(): Promise<void> {
    this.#world?.signal.removeEventListener("abort", this.#onAbort);
    const usage = process.cpuUsage();
    this.#cpuUse += (usage.user + usage.system) / 1e6;
    this.#dispose();
    process.removeListener("exit", this.#onExit);
  }

  /** Synchronous, for the end of the process. Probes go when no instance has their events any more. */
  #dispose(): void {
    this.#rings?.close();
    this.#instance?.remove();
    for (const probes of this.#probes) probes.close();
    this.#userMemory?.close();
    this.#target.child?.leave();
  }
}
