/**
 * Hooks and links. A hook is a place that runs programs: its HOOK record in the arena names the LINK records of what is
 * attached, in order of attachment, and the batch driver of the library walks them. Programs come in through the interface
 * `Attachable`, so that this file knows nothing of objects.
 */
import { AttachError } from "../base/index.ts";
import {
  type AttachTypeName,
  EVENT,
  HOOK,
  type HookKind,
  hookSpec,
  LINK,
  type ProgramManifest,
  type ProgramTypeName,
  takesProgram,
} from "../spec/index.ts";
import type { Device } from "./device.ts";
import { writeEvent } from "./event.ts";
import { GivenMemory, type MemoryAt } from "./memory.ts";
import { type Payload, payloadBytes } from "./payload.ts";
import { Room } from "./room.ts";
import type { WantedHook } from "./source.ts";
import type { TaskInfo } from "./task.ts";
import { contextPreparation } from "./test-run/index.ts";
import type { World } from "./world.ts";

/** A program that is linked and can be attached. */
export interface Attachable {
  readonly manifest: ProgramManifest;
  /** its slot in the worker's table */
  readonly tableIndex: number;
  /** slot of its batch loop */
  readonly batchIndex: number;
  readonly closed: boolean;
}

export interface AttachOptions {
  /** what bpf_get_attach_cookie() answers, unsigned; default 0 */
  readonly cookie?: bigint | undefined;
}

export interface FireOptions {
  /** virtual CPU, default 0 */
  readonly cpu?: number | undefined;
  /** ns; default: the machine's clock */
  readonly timeNs?: bigint | undefined;
  /** default: pid 0 */
  readonly task?: TaskInfo | undefined;
  /** what probe reads find at addresses outside the arena: strings of the user's, usually; texts end in a zero byte */
  readonly memory?: readonly MemoryAt[] | undefined;
}

/** Hooks of one runtime, by kind and name. A hook exists from the first time it is asked for. */
export class Hooks {
  readonly #world: World;
  readonly #devices: readonly Device[];
  readonly #hooks = new Map<string, Hook>();

  constructor(world: World, devices: readonly Device[]) {
    this.#world = world;
    this.#devices = devices;
  }

  get(kind: HookKind, name: string): Hook {
    const key = `${kind}/${name}`;
    const known = this.#hooks.get(key);
    if (known !== undefined) return known;
    const hook = new Hook(this.#world, this.#devices, kind, name);
    this.#hooks.set(key, hook);
    return hook;
  }

  [Symbol.iterator](): IterableIterator<Hook> {
    return this.#hooks.values();
  }

  /** Hooks with links. */
  wanted(): WantedHook[] {
    return [...this]
      .filter((hook) => hook.links.length > 0)
      .map(({ kind, name, address }) => ({ kind, name, address }));
  }

  /** Runs EVENT records that lie in the arena; returns how many ran (World.runEvents). */
  fireBatch(address: number, count: number): number {
    return this.#world.runEvents(address, count);
  }
}

export class Hook {
  readonly kind: HookKind;
  /** `sched/sched_switch` of a tracepoint, `sched_switch` of a raw tracepoint */
  readonly name: string;
  /** of the HOOK record */
  readonly address: number;
  /** bytes of ctx that its events bring at least, null: not known. Programs that read more cannot be attached. */
  ctxBytes: number | null = null;
  readonly #world: World;
  readonly #devices: readonly Device[];
  #links: readonly Link[] = [];
  /** of the LINK records */
  #records = 0;

  constructor(world: World, devices: readonly Device[], kind: HookKind, name: string) {
    this.#world = world;
    this.#devices = devices;
    this.kind = kind;
    this.name = name;
    this.address = world.arena.allocate(HOOK.bytes * world.arena.lanes);
  }

  /** In order of attachment, which is the order in which they run. */
  get links(): readonly Link[] {
    return this.#links;
  }

  /** A failed attach leaves nothing behind. The same program may be attached more than once. */
  attach(program: Attachable, options: AttachOptions = {}): Link {
    this.#requireFit(program);
    const link = new Link(this, program, BigInt.asUintN(64, options.cookie ?? 0n), this.#world.arena.takeId());
    this.#setLinks([...this.#links, link]);
    return link;
  }

  /** Link.detach() calls it. */
  remove(link: Link): void {
    this.#setLinks(this.#links.filter((other) => other !== link));
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
    const widths = this.#links.find(({ program }) => program.manifest.argumentBytes)?.program.manifest.argumentBytes;
    const payload = payloadBytes(this.kind, given, widths);
    const room = new Room(world, this.#devices);
    try {
      const { context: ctx, programs } = hookSpec(this.kind);
      const [type, attachType = null] = programs[0]!.split("/") as [ProgramTypeName, AttachTypeName?];
      const hasData = ctx === "packet" || ctx === "memory";
      const context = contextPreparation(type)(
        room,
        { type, attachType, ctxBytes: this.#ctxBytesRead() },
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
        });
        this.#run(event, options.memory);
      } finally {
        if (task !== world.idleTask) world.arena.free(task);
      }
    } finally {
      room.release();
    }
  }

  #run(event: number, memory: readonly MemoryAt[] | undefined): void {
    const world = this.#world;
    const outer = world.foreign;
    if (memory !== undefined) world.foreign = new GivenMemory(world, memory);
    try {
      world.runEvents(event, 1);
    } finally {
      world.foreign = outer;
    }
  }

  /** What the attached programs read of the ctx at most. */
  #ctxBytesRead(): number {
    return Math.max(0, ...this.#links.map(({ program }) => program.manifest.ctxBytes ?? 0));
  }

  #requireFit({ manifest, closed }: Attachable): void {
    const where = { program: manifest.name };
    if (closed) throw new AttachError("ATTACH_FAILED", `program ${manifest.name} is closed`, { where, errno: "EBADF" });
    if (!takesProgram(hookSpec(this.kind), manifest.type, manifest.attachType)) {
      throw new AttachError(
        "ATTACH_TYPE",
        `program ${manifest.name} of type ${manifest.type} does not fit ${this.kind} ${this.name}`,
        { where },
      );
    }
    // Kernel: perf_event_attach_bpf_prog() against trace_event_get_offsets(), bpf_probe_register()
    const read = manifest.ctxBytes ?? 0;
    const has = this.ctxBytes ?? passedBytes(manifest);
    if (has !== null && read > has) {
      throw new AttachError(
        "ATTACH_TYPE",
        `program ${manifest.name} reads ${read} bytes of ctx, events of ${this.name} have ${has}`,
        { where, errno: this.kind === "tracepoint" ? "EACCES" : "EINVAL" },
      );
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
      for (const word of [LINK.runs, LINK.misses]) {
        view.setBigUint64(record + word, BigInt(this.counter(link, word)), true);
      }
    });
    const old = this.#records;
    this.#records = records;
    this.#links = links;
    for (let lane = 0; lane < lanes; lane++) {
      const hook = this.address + lane * HOOK.bytes;
      view.setUint32(hook + HOOK.links, records === 0 ? 0 : records + lane * bytes, true);
      view.setUint32(hook + HOOK.linkCount, links.length, true);
      view.setUint32(hook + HOOK.batch, links.length === 1 ? links[0]!.program.batchIndex + 1 : 0, true);
    }
    world.whenIdle(() => world.arena.free(old));
  }
}

/** Bytes of the arguments that the hook passes, as the target's BTF says; null: it does not. */
const passedBytes = ({ argumentBytes, type }: ProgramManifest): number | null =>
  argumentBytes === undefined || type === "tracing" ? null : argumentBytes.length * 8;

/** Of so many LINK records. */
const laneBytes = (links: number): number => Math.ceil((links * LINK.bytes) / 64) * 64;

/** One program attached to one hook. */
export class Link {
  readonly hook: Hook;
  readonly program: Attachable;
  readonly cookie: bigint;
  readonly id: number;
  /** counters at the time of the detach */
  #last: { readonly runs: number; readonly misses: number } | null = null;

  constructor(hook: Hook, program: Attachable, cookie: bigint, id: number) {
    this.hook = hook;
    this.program = program;
    this.cookie = cookie;
    this.id = id;
  }

  /** Runs so far. */
  get runs(): number {
    return this.#last?.runs ?? this.hook.counter(this, LINK.runs);
  }
  /** Runs that did not start, for want of stack: as recursion in the kernel. */
  get misses(): number {
    return this.#last?.misses ?? this.hook.counter(this, LINK.misses);
  }
  get detached(): boolean {
    return this.#last !== null;
  }

  /** A second detach does nothing. */
  detach(): void {
    if (this.#last !== null) return;
    this.#last = { runs: this.runs, misses: this.misses };
    this.hook.remove(this);
  }

  [Symbol.dispose](): void {
    this.detach();
  }
}
