/** A program that is linked into a runtime: it can be test-run, and attached to hooks. */
import { AttachError, UsageError } from "../base/index.ts";
import { EVENT, hookName, hookOfProgram, type ProgramManifest, TASK } from "../spec/index.ts";
import type { Device } from "./device.ts";
import { writeEvent } from "./event.ts";
import type { Hook } from "./hook.ts";
import type { Hooks } from "./hooks.ts";
import { callingTask, monotonicNs } from "./host.ts";
import type { Attachable, AttachOptions, Link, RunCounts } from "./link.ts";
import type { ProgArrayMap } from "./maps/index.ts";
import type { ProfiledCode } from "./profile/code.ts";
import { Room } from "./room.ts";
import { writeCallChain } from "./stack.ts";
import { writeTask } from "./task.ts";
import { type PreparedContext, refuse, type TestRunInput, type TestRunResult } from "./test-run/context.ts";
import { contextPreparation } from "./test-run/index.ts";
import type { Crew } from "./workers/crew.ts";
import type { BatchFunction, World } from "./world.ts";

/** The part of a runtime that a program needs. */
export interface ProgramHome {
  readonly world: World;
  readonly hooks: Hooks;
  readonly devices: readonly Device[];
  /** threads that run programs besides the main worker, null: none */
  readonly crew: Crew | null;
  /** every open prog array: a program that one of them holds stays in the table */
  readonly progArrays: Set<ProgArrayMap>;
  /** objects that say where their code is */
  readonly profiled: ProfiledCode;
}

/** Repeated runs are EVENT records of one context, run in portions of so many. */
const REPEAT_PORTION = 4096;

export class LinkedProgram implements Attachable {
  readonly manifest: ProgramManifest;
  readonly tableIndex: number;
  readonly batchIndex: number;
  /** what a prog array shows of it */
  readonly id: number;
  readonly #home: ProgramHome;
  /** of test runs, and of links that it had */
  #counts: RunCounts = { runs: 0, misses: 0, ns: 0 };
  #closed = false;

  constructor(
    home: ProgramHome,
    manifest: ProgramManifest,
    /** in the worker's table */
    slots: { readonly main: number; readonly batch: number },
  ) {
    this.#home = home;
    this.manifest = manifest;
    this.tableIndex = slots.main;
    this.batchIndex = slots.batch;
    this.id = home.world.arena.takeId();
  }

  get name(): string {
    return this.manifest.name;
  }
  get closed(): boolean {
    return this.#closed;
  }

  /** Links of this program, over all hooks. */
  get links(): readonly Link[] {
    return [...this.#home.hooks].flatMap((hook) => hook.links.filter((link) => link.program === this));
  }

  /** Times that it ran: test runs, and events of its links. A tail call is no run. */
  get runs(): number {
    return this.stats.runs;
  }

  /** What the kernel counts of a program; the time while Runtime.enableStats() holds. */
  get stats(): RunCounts {
    return this.links.map(({ programCounts }) => programCounts).reduce(sumOf, this.#counts);
  }

  keepCounts(counts: RunCounts): void {
    this.#counts = sumOf(this.#counts, counts);
  }

  /** Attaches to `hook`, or to the hook that the section name says. */
  attach(options: AttachOptions & { readonly hook?: Hook | undefined } = {}): Link {
    this.#requireOpen();
    return (options.hook ?? this.#ownHook()).attach(this, options);
  }

  /**
   * Runs the program on one input, as BPF_PROG_TEST_RUN does: what that refuses is refused with its errno (UsageError).
   * Beyond it: tracepoints take their payload as ctxIn, every type may choose its virtual CPU, the task and the time can
   * be given.
   */
  testRun(input: TestRunInput = {}): TestRunResult {
    this.#requireOpen();
    const { world, devices } = this.#home;
    const repeat = Math.max(1, input.repeat ?? 1);
    if (!Number.isSafeInteger(repeat)) throw new UsageError("USAGE", `repeat is ${input.repeat}: a number is needed`);
    const cpu = input.cpu ?? 0;
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= world.arena.cpus) {
      refuse("ENXIO", `there is no virtual CPU ${cpu}, the runtime has ${world.arena.cpus}`);
    }
    const room = new Room(world, devices);
    try {
      const context = contextPreparation(this.manifest.type)(room, this.manifest, input);
      const task = room.allocate(TASK.bytes);
      writeTask(world.view, task, input.task ?? callingTask());
      return this.#run(room, context, task, { ...input, repeat, cpu });
    } finally {
      room.release();
    }
  }

  /** The object that the program belongs to closes it. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const link of this.links) link.detach();
  }

  #run(
    room: Room,
    context: PreparedContext,
    task: number,
    input: TestRunInput & { readonly repeat: number; readonly cpu: number },
  ): TestRunResult {
    const { world } = this.#home;
    const { repeat } = input;
    const portion = Math.min(repeat, REPEAT_PORTION);
    const events = room.allocate(portion * EVENT.bytes);
    const chain = input.stack && writeCallChain(room, input.stack);
    for (let index = 0; index < portion; index++) {
      writeEvent(world.view, events + index * EVENT.bytes, {
        ctx: context.address,
        cpu: world.arena.cpu(input.cpu),
        task,
        hook: 0,
        ctxBytes: 0,
        timeNs: input.timeNs,
        flags: context.eventFlags,
        chain,
      });
    }
    const batch = world.table.get(this.batchIndex) as BatchFunction;
    const started = monotonicNs();
    for (let left = repeat - 1; left > 0; ) left -= world.runBatch(this.name, batch, events, Math.min(left, portion));
    const r0 = world.runProgram(this.tableIndex, events);
    const elapsedNs = Number(monotonicNs() - started);
    this.keepCounts({ runs: repeat, misses: 0, ns: this.#home.hooks.timed ? elapsedNs : 0 });
    const durationNs = Math.round(elapsedNs / repeat);
    return { retval: Number(r0 & 0xffff_ffffn), r0, ...context.finish(), repeat, durationNs };
  }

  #ownHook(): Hook {
    const { type, attachTarget, section, name, architecture } = this.manifest;
    const spec = hookOfProgram(this.manifest);
    const where = { program: name, section };
    if (spec === null) throw new AttachError("ATTACH_TYPE", `programs of type ${type} have no hook`, { where });
    if (attachTarget === null || attachTarget === "") {
      throw new AttachError("ATTACH_TARGET", `section "${section}" names no hook`, {
        where,
        hint: "give the hook: program.attach({ hook: runtime.hooks.get(kind, name) })",
      });
    }
    return this.#home.hooks.get(spec.kind, hookName(section, attachTarget, architecture));
  }

  #requireOpen(): void {
    if (this.#closed) throw new UsageError("CLOSED", `program ${this.name} is closed`);
  }
}

const sumOf = (one: RunCounts, other: RunCounts): RunCounts => ({
  runs: one.runs + other.runs,
  misses: one.misses + other.misses,
  ns: one.ns + other.ns,
});
