/**
 * A hook: a place that runs programs. Its HOOK record in the arena names the LINK records of what is attached, in order of
 * attachment, and the batch driver of the library walks them. Programs come in through the interface `Attachable`, so that
 * this file knows nothing of objects.
 */
import { AttachError, UsageError } from "../base/index.ts";
import {
  type Architecture,
  type AttachTypeName,
  EVENT,
  HOOK,
  type HookKind,
  hookSpec,
  LINK,
  NULL_GUARD_BYTES,
  POINTER_TAG,
  type ProgramManifest,
  type ProgramTypeName,
  takesProgram,
  writableBytes,
} from "../spec/index.ts";
import type { Device } from "./device.ts";
import { writeEvent } from "./event.ts";
import { type BatchOptions, HookBatch, mostBytes } from "./hook-batch.ts";
import { Iteration, type IterationOptions, type IteratorTarget, iteratorTarget } from "./iter/index.ts";
import { type Attachable, type AttachOptions, Link, type LinkPins } from "./link.ts";
import { GivenMemory, type MemoryAt } from "./memory.ts";
import { type Payload, payloadBytes } from "./payload.ts";
import { Room } from "./room.ts";
import { type EventStack, writeCallChain } from "./stack.ts";
import type { TaskInfo } from "./task.ts";
import { contextPreparation } from "./test-run/index.ts";
import type { World } from "./world.ts";

export interface FireOptions {
  /** virtual CPU, default 0 */
  readonly cpu?: number | undefined;
  /** ns; default: the machine's clock */
  readonly timeNs?: bigint | undefined;
  /** default: pid 0 */
  readonly task?: TaskInfo | undefined;
  /** what probe reads find at addresses outside the arena: strings of the user's, usually; texts end in a zero byte */
  readonly memory?: readonly MemoryAt[] | undefined;
  /** what bpf_get_stack() and its kin find; default: no stack is known */
  readonly stack?: EventStack | undefined;
}

const WORD_BYTES = 8;
/** Events that are copied and run at once: of many, so many that their records stay in the cache. */
const PORTIONS = { one: 1, many: 1024 } as const;

/** What the hooks of a runtime share. */
export interface HookHome {
  readonly world: World;
  readonly devices: readonly Device[];
  readonly pins: LinkPins;
  /** the time of runs is measured */
  readonly timed: boolean;
}

export class Hook {
  readonly kind: HookKind;
  /** `sched/sched_switch` of a tracepoint, `sched_switch` of a raw tracepoint */
  readonly name: string;
  /** of the HOOK record */
  readonly address: number;
  /** bytes of ctx that its events bring at least, null: not known. Programs that read more cannot be attached. */
  ctxBytes: number | null = null;
  /** bytes of each argument, null: what a program says that is for this hook by its section */
  argumentBytes: readonly number[] | null = null;
  /** bytes that programs may change through the first argument, null: as many as the kernel's tracepoint of that name lets them */
  writableBytes: number | null = null;
  readonly #home: HookHome;
  readonly #world: World;
  readonly #devices: readonly Device[];
  #links: readonly Link[] = [];
  /** of the LINK records */
  #records = 0;
  readonly #spec: ReturnType<typeof hookSpec>;
  /** how fire() lays a ctx out: as a test run of that program type does */
  readonly #firing: {
    readonly type: ProgramTypeName;
    readonly attachType: AttachTypeName | null;
    readonly hasData: boolean;
  };
  /** for events of the length that was fired last; null: none yet, or it is in use */
  readonly #batches: Record<keyof typeof PORTIONS, HookBatch | null> = { one: null, many: null };
  /** bytes of ctx that programs read at most, and those that an event has at most */
  #least = 0;
  #most: number;
  /** bytes of the first argument that programs change at most */
  #changed = 0;

  /** of the runtime's links */
  readonly pins: LinkPins;

  constructor(home: HookHome, kind: HookKind, name: string) {
    const { world, devices } = home;
    this.#home = home;
    this.pins = home.pins;
    this.#world = world;
    this.#devices = devices;
    this.kind = kind;
    this.name = name;
    this.address = world.arena.allocate(HOOK.bytes * world.arena.lanes);
    this.#spec = hookSpec(kind);
    this.#most = mostBytes({ spec: this.#spec, architecture: undefined });
    const { context, programs } = this.#spec;
    const [type, attachType = null] = programs[0]!.split("/") as [ProgramTypeName, AttachTypeName?];
    this.#firing = { type, attachType, hasData: context === "packet" || context === "memory" };
  }

  /** In order of attachment, which is the order in which they run. */
  get links(): readonly Link[] {
    return this.#links;
  }

  /** A failed attach leaves nothing behind. The same program may be attached more than once. */
  attach(program: Attachable, options: AttachOptions = {}): Link {
    this.requireFit(program);
    const iterator = this.kind === "iter" ? iteratorTarget(this.#world, this.name, options) : null;
    iterator?.requireFit(program.manifest);
    const cookie = BigInt.asUintN(64, options.cookie ?? 0n);
    const link = new Link(this, program, { cookie, id: this.#world.arena.takeId(), iterator });
    this.#setLinks([...this.#links, link]);
    return link;
  }

  /** After a link's program, or how runs are driven, changed. */
  refresh(): void {
    this.#setLinks(this.#links);
  }

  /** Link.detach() calls it. */
  remove(link: Link): void {
    this.#setLinks(this.#links.filter((other) => other !== link));
  }

  /** Link.iterate() calls it. */
  iterate(link: Link, target: IteratorTarget, options: IterationOptions): Iteration {
    const { program } = link;
    return new Iteration(
      this.#world,
      {
        name: program.manifest.name,
        tableIndex: program.tableIndex,
        // the meta and the object, where BTF does not tell
        argumentCount: program.manifest.argumentBytes?.length ?? 2,
        isClosed: () => program.closed,
        count: (ns) => this.#count(link, ns),
      },
      target,
      options,
    );
  }

  /** A run that the batch driver did not make. */
  #count(link: Link, ns: bigint): void {
    const index = this.#links.indexOf(link);
    if (index < 0) return;
    const { view } = this.#world;
    const record = this.#records + index * LINK.bytes;
    view.setBigUint64(record + LINK.runs, view.getBigUint64(record + LINK.runs, true) + 1n, true);
    if (this.#home.timed) view.setBigUint64(record + LINK.ns, view.getBigUint64(record + LINK.ns, true) + ns, true);
  }

  /** A word of a link's record, as a number. */
  counter(link: Link, word: number): number {
    const index = this.#links.indexOf(link);
    if (index < 0) return 0;
    const { arena } = this.#world;
    this.#world.countRuns();
    let sum = 0;
    for (let lane = 0; lane < arena.lanes; lane++) {
      const record = this.#records + lane * laneBytes(this.#links.length) + index * LINK.bytes;
      sum += Number(arena.view.getBigUint64(record + word, true));
    }
    return sum;
  }

  /**
   * Runs the attached programs once. `given` is the ctx (bytes, arguments in order, registers by name) or the packet. Return
   * values are not kept, as in the kernel's tracepoints.
   */
  fire(given: Payload, options: FireOptions = {}): void {
    const world = this.#world;
    if (this.#spec.context === "iterator") {
      throw new UsageError("USAGE", "iterators are not fired: read their links");
    }
    const architecture = this.#architecture;
    const payload = payloadBytes(this.kind, given, { widths: this.#widths(), architecture });
    this.#requireBuffer(payload);
    if (options.stack === undefined && this.#isPlain(payload.length)) {
      this.#runBatch("one", payload, payload.length, options);
      return;
    }
    const room = new Room(world, this.#devices);
    try {
      const { type, attachType, hasData } = this.#firing;
      const context = contextPreparation(type)(
        room,
        { type, attachType, ctxBytes: this.#least, ...(architecture !== undefined && { architecture }) },
        hasData ? { dataIn: payload } : { ctxIn: payload },
      );
      const event = room.allocate(EVENT.bytes);
      const task = options.task === undefined ? world.idleTask : world.makeTask(options.task);
      try {
        writeEvent(world.view, event, {
          ctx: context.address,
          cpu: world.arena.cpu(options.cpu ?? 0),
          task,
          hook: this.address,
          ctxBytes: payload.length,
          timeNs: options.timeNs,
          chain: options.stack && writeCallChain(room, options.stack),
        });
        this.#within(options.memory, () => world.runEvents(event, 1));
      } finally {
        if (task !== world.idleTask) world.arena.free(task);
      }
    } finally {
      room.release();
    }
  }

  /**
   * Runs the attached programs once for each of `count` events, whose ctx lie one behind the other in `records`, all of one length:
   * payloads of a tracepoint, arguments of 8 bytes each, struct pt_regs. The options are those of every event. Much faster than
   * fire(); packets are fired one by one.
   */
  fireBatch(records: Uint8Array, count: number, options: FireOptions & BatchOptions = {}): void {
    if (!Number.isInteger(count) || count < 0 || (count > 0 && records.length % count !== 0)) {
      throw new UsageError("USAGE", `${records.length} bytes are not ${count} events of one length`);
    }
    if (count === 0) return;
    const bytes = records.length / count;
    if (bytes < this.#least) {
      throw new UsageError("USAGE", `programs read ${this.#least} bytes of an event and are given ${bytes}`);
    }
    this.#requireBuffer(records, count);
    this.#runBatch("many", records, bytes, options);
  }

  /** Runs records of `bytes` each in a block that is kept; a run inside this run takes one of its own. */
  #runBatch(
    size: keyof typeof PORTIONS,
    records: Uint8Array,
    bytes: number,
    options: FireOptions & BatchOptions,
  ): void {
    const world = this.#world;
    const architecture = this.#architecture;
    let batch = this.#batches[size];
    this.#batches[size] = null;
    if (batch?.fits(bytes, architecture) !== true) {
      batch?.free();
      const kind = { spec: this.#spec, architecture };
      batch = new HookBatch(world, this.address, kind, bytes, PORTIONS[size]);
    }
    const { task: given, timeNs, memory } = options;
    const outer = world.foreign;
    let task = world.idleTask;
    try {
      const cpu = world.arena.cpu(options.cpu ?? 0);
      if (given !== undefined) task = world.makeTask(given);
      if (memory !== undefined) world.foreign = new GivenMemory(world, memory);
      batch.run(records, { cpu, task, timeNs }, options);
    } finally {
      world.foreign = outer;
      if (task !== world.idleTask) world.arena.free(task);
      if (this.#batches[size] === null) this.#batches[size] = batch;
      else batch.free();
    }
  }

  /** Whether an event of that length is laid out as fireBatch() does it. What is wrong with another one is told where it is made. */
  #isPlain(bytes: number): boolean {
    const { context } = this.#spec;
    const isWhole = context === "payload" || bytes % WORD_BYTES === 0;
    return bytes > 0 && isWhole && bytes >= this.#least && bytes <= this.#most;
  }

  #within(memory: readonly MemoryAt[] | undefined, run: () => void): void {
    const world = this.#world;
    const outer = world.foreign;
    if (memory !== undefined) world.foreign = new GivenMemory(world, memory);
    try {
      run();
    } finally {
      world.foreign = outer;
    }
  }

  #widths(): readonly number[] | undefined {
    if (this.argumentBytes !== null) return this.argumentBytes;
    for (const { program } of this.#links) {
      const widths = widthsAt(program.manifest, this.name);
      if (widths !== undefined) return widths;
    }
    return undefined;
  }

  /** Programs of writable raw tracepoints use what their first argument points to without another check. */
  #requireBuffer(ctx: Uint8Array, count = 1): void {
    const bytes = this.#changed;
    if (bytes === 0) return;
    const length = ctx.length / count;
    for (let at = 0; at < ctx.length; at += length) this.#requireObject(ctx.subarray(at, at + length), bytes);
  }

  #requireObject(ctx: Uint8Array, bytes: number): void {
    const pointer = new DataView(ctx.buffer, ctx.byteOffset).getBigUint64(0, true);
    const address = Number(pointer & 0xffff_ffffn);
    const isObject = pointer >> 32n === BigInt(POINTER_TAG) && address >= NULL_GUARD_BYTES;
    if (isObject && address + bytes <= this.#world.bytes.length) return;
    throw new UsageError("USAGE", `programs change ${bytes} bytes of the first argument: a kernel object is needed`);
  }

  /** What the attached programs were prepared for; undefined: the default, or nothing is attached. */
  get #architecture(): Architecture | undefined {
    return this.#links[0]?.program.manifest.architecture;
  }

  /** Throws AttachError where a program cannot be attached here. */
  requireFit({ manifest, closed }: Attachable): void {
    const where = { program: manifest.name };
    if (closed) throw new AttachError("ATTACH_FAILED", `program ${manifest.name} is closed`, { where, errno: "EBADF" });
    if (!takesProgram(this.#spec, manifest.type, manifest.attachType)) {
      throw new AttachError(
        "ATTACH_TYPE",
        `program ${manifest.name} of type ${manifest.type} does not fit ${this.kind} ${this.name}`,
        { where },
      );
    }
    const [first] = this.#links;
    if (first !== undefined && first.program.manifest.architecture !== manifest.architecture) {
      const message = `program ${manifest.name} was prepared for another machine than those that ${this.name} has`;
      throw new AttachError("ATTACH_TYPE", message, { where });
    }
    // Kernel: bpf_iter_link_replace()
    if (this.kind === "iter" && manifest.attachTarget !== this.name) {
      const message = `program ${manifest.name} is for iterator ${manifest.attachTarget}, not ${this.name}`;
      throw new AttachError("ATTACH_TYPE", message, { where });
    }
    // Kernel: perf_event_attach_bpf_prog() against trace_event_get_offsets(), bpf_probe_register()
    const read = manifest.ctxBytes ?? 0;
    const widths = this.argumentBytes ?? (manifest.type === "tracing" ? null : widthsAt(manifest, this.name));
    const has = this.ctxBytes ?? (widths ? widths.length * 8 : null);
    if (has !== null && read > has) {
      throw new AttachError(
        "ATTACH_TYPE",
        `program ${manifest.name} reads ${read} bytes of ctx, events of ${this.name} have ${has}`,
        { where, errno: this.kind === "tracepoint" ? "EACCES" : "EINVAL" },
      );
    }
    const writable = this.writableBytes ?? writableBytes(this.name);
    if (bufferBytes(manifest) > writable) {
      const message = `program ${manifest.name} uses ${bufferBytes(manifest)} bytes of a buffer, ${this.name} passes ${writable} on`;
      throw new AttachError("ATTACH_TYPE", message, { where });
    }
  }

  /**
   * Makes new records for `links`, keeping the counters of those that stay. The old ones may be walked by a run under
   * way, whose callback attaches or detaches: they are freed when it is over. Each lane of workers has records of its own,
   * so that no two count in the same cache line, and its HOOK behind the first.
   */
  #setLinks(links: readonly Link[]): void {
    const world = this.#world;
    world.settle();
    const bytes = laneBytes(links.length);
    const { lanes } = world.arena;
    const records = links.length === 0 ? 0 : world.arena.allocate(lanes * bytes, 64);
    const { view } = world;
    links.forEach((link, index) => {
      for (let lane = 0; lane < lanes; lane++) {
        const record = records + lane * bytes + index * LINK.bytes;
        view.setUint32(record + LINK.program, link.program.tableIndex, true);
        view.setUint32(record + LINK.id, link.id, true);
        view.setBigUint64(record + LINK.cookie, link.cookie, true);
      }
      const record = records + index * LINK.bytes;
      for (const word of [LINK.runs, LINK.misses, LINK.ns]) {
        view.setBigUint64(record + word, BigInt(this.counter(link, word)), true);
      }
    });
    const compiled = links.length === 1 ? links[0]!.program.batchIndex + 1 : 0;
    const old = this.#records;
    this.#records = records;
    this.#links = links;
    this.#least = Math.max(0, ...links.map(({ program }) => program.manifest.ctxBytes ?? 0));
    this.#most = mostBytes({ spec: this.#spec, architecture: this.#architecture });
    this.#changed = Math.max(0, ...links.map(({ program }) => bufferBytes(program.manifest)));
    for (let lane = 0; lane < lanes; lane++) {
      const hook = this.address + lane * HOOK.bytes;
      view.setUint32(hook + HOOK.links, records === 0 ? 0 : records + lane * bytes, true);
      view.setUint32(hook + HOOK.linkCount, links.length, true);
      view.setUint32(hook + HOOK.batch, compiled, true);
    }
    world.whenIdle(() => world.arena.free(old));
  }
}

/** Bytes of the hook's arguments, where the program tells: it is typed, or was prepared for this hook. */
const widthsAt = (
  { argumentBytes, type, attachTarget }: ProgramManifest,
  hook: string,
): readonly number[] | undefined => (type === "tracing" || attachTarget === hook ? argumentBytes : undefined);

/** That a program of a writable raw tracepoint uses. Kernel: max_tp_access. */
const bufferBytes = ({ type, bufferBytes: used }: ProgramManifest): number =>
  type === "raw_tracepoint_writable" ? (used?.writable ?? 0) : 0;

/** Of so many LINK records. */
const laneBytes = (links: number): number => Math.ceil((links * LINK.bytes) / 64) * 64;
