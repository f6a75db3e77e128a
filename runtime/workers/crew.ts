/**
 * The crew of a runtime: threads that run programs over the shared arena. Each owns its share of the virtual CPUs, so that
 * what programs see does not depend on how many there are. The main worker decides what runs when: between its calls of
 * run() they sleep, and before it runs programs itself it waits for them.
 */
import { FaultError, MapError, UsageError } from "../../base/index.ts";
import { CPU, EVENT, HOOK, NULL_GUARD_BYTES, RUNTIME } from "../../spec/index.ts";
import { libraryModule } from "../library.ts";
import type { BpfMap } from "../maps/map.ts";
import type { ForeignMemory, World } from "../world.ts";
import { Member } from "./member.ts";
import { type InstallMessage, REQUEST } from "./protocol.ts";
import { repairAfter } from "./repair.ts";

/** A worker that died, and what it left. Another has taken its place. */
export interface WorkerLoss {
  /** 1 … workers */
  readonly worker: number;
  /** one was under way: how much of it was done is not known, and it is not run again */
  readonly inEvent: boolean;
  /** maps that it was changing: an operation of its is done or not, nothing in between */
  readonly maps: readonly string[];
  /** records that it had reserved: they count as lost */
  readonly records: readonly { readonly map: string; readonly count: number }[];
  /** what its thread ended with, null where it was stopped from outside */
  readonly error: Error | null;
}

export interface CrewOptions {
  readonly workers: number;
  readonly trace: (line: string) => void;
  readonly onLoss: (loss: WorkerLoss) => void;
}

export interface CrewRun {
  /** called when workers wait for readers; absent: they do not wait, and full buffers lose records */
  readonly relieve?: (() => Promise<void>) | undefined;
  /** no further event begins, but those that a worker was given are run */
  readonly signal?: AbortSignal | undefined;
  /** who answers reads of addresses that are not in the arena */
  readonly foreign?: ForeignMemory | undefined;
  /** how often the events are run, for measurements; default once */
  readonly times?: number | undefined;
}

/** A hook, as far as its programs go. */
interface HookPrograms {
  readonly links: readonly { readonly program: { readonly tableIndex: number } }[];
}

/** Of a map that is neither a value for each CPU nor a buffer that is only written to nor constant. */
const isSharedByCpus = ({ spec }: BpfMap): boolean =>
  !["percpu_array", "ringbuf", "perf_event_array"].includes(spec.type) && !spec.frozen;

/** A worker that dies so often in a row before any event of its has begun will not get further. */
const MOST_DEATHS = 10;
/** How long a lock may be held by a worker of which nothing can be learnt. */
const LONGEST_HOLD_MS = 10_000;

/** The events of one worker in one run. */
class Share {
  readonly member: Member;
  /** addresses */
  readonly begin: number;
  readonly end: number;
  /** the first that has not begun, and how many rounds are left with the one under way */
  next: number;
  times: number;
  /** deaths since it came further */
  deaths = 0;

  constructor(member: Member, begin: number, end: number, times: number) {
    this.member = member;
    this.begin = begin;
    this.end = end;
    this.next = begin;
    this.times = times;
  }

  run(pauses: boolean): void {
    const times = this.next === this.begin ? this.times : 1;
    this.member.run(this.next, (this.end - this.next) / EVENT.bytes, { times, pauses });
  }

  /** After run(): rounds that it left, and the first event that did not begin. True: there was one that did. */
  advance(timesLeft: number, next: number): boolean {
    const { next: nextBefore, times: timesBefore } = this;
    this.times = nextBefore === this.begin ? timesLeft : this.times - 1 + timesLeft;
    this.next = timesLeft === 0 ? this.begin : next;
    if (this.next === this.end) {
      this.times -= 1;
      this.next = this.begin;
    }
    return this.times !== timesBefore || this.next !== nextBefore;
  }

  /** Events that began, of so many rounds. */
  begun(times: number): number {
    return ((times - this.times) * (this.end - this.begin) + this.next - this.begin) / EVENT.bytes;
  }
}

export class Crew {
  readonly #world: World;
  readonly #options: CrewOptions;
  readonly #members: readonly Member[];
  /** what a new thread must install */
  readonly #installed = new Map<number, InstallMessage>();
  readonly #losses: WorkerLoss[] = [];
  /** main functions in the table of programs whose runs on one CPU may matter to runs on another */
  readonly #sharing = new Set<number>();
  /** a lane's copies of the events that are its: address, and how many fit */
  readonly #queues: { address: number; capacity: number }[];
  #started: Promise<void> | null = null;
  #closed = false;
  /** what the main worker waited for last */
  #held = { owner: 0, since: 0 };
  #foreign: ForeignMemory | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(world: World, options: CrewOptions) {
    const { arena } = world;
    this.#world = world;
    this.#options = options;
    const { cpuBlocks } = arena.handle;
    const host = {
      arena,
      idleTask: world.idleTask,
      library: libraryModule(),
      trace: options.trace,
      answer: (request: number, values: readonly number[]) => this.#answer(request, values),
      onDeath: (member: Member, inEvent: boolean, error: Error | null) => this.#bury(member, inEvent, error),
    };
    this.#members = Array.from({ length: options.workers }, (_, index) => {
      const cpus = cpuBlocks.filter((_block, cpu) => cpu % options.workers === index);
      return new Member(host, index + 1, cpus);
    });
    this.#queues = this.#members.map(() => ({ address: 0, capacity: 0 }));
    world.settle = () => this.settle();
    world.contended = (lock, owner, asked) => this.#contended(lock, owner, asked);
  }

  get workers(): number {
    return this.#members.length;
  }
  /** Workers that died so far. */
  get losses(): readonly WorkerLoss[] {
    return this.#losses;
  }

  /** Starts the threads where they do not run yet. run() and install() do it. */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /** Puts an object's programs into the table of every worker, now and of those to come. `maps` are those it uses. */
  async install(key: number, message: InstallMessage, maps: readonly BpfMap[]): Promise<void> {
    this.#installed.set(key, message);
    if (maps.some(isSharedByCpus)) for (const { main } of message.programs) this.#sharing.add(main);
    if (this.#started === null) return;
    await this.start();
    await this.#inTurn(async () => {
      // taken out again while others ran: its places in the tables may be another object's
      if (this.#installed.get(key) !== message) return;
      for (const member of this.#members) {
        if (member.isDead) continue;
        member.send(message);
        member.nudge();
      }
      await this.#allDone();
    });
  }

  uninstall(key: number): void {
    const message = this.#installed.get(key);
    if (message === undefined) return;
    this.#installed.delete(key);
    const indices = message.programs.flatMap(({ main, batch }) => [main, batch]);
    for (const { main } of message.programs) this.#sharing.delete(main);
    for (const member of this.#members) member.send({ kind: "uninstall", indices });
  }

  /**
   * Nothing that the programs attached to these hooks do on one CPU can be seen on another, so that CPUs may run ahead of each
   * other without anything coming out differently.
   */
  isIndependent(hooks: Iterable<HookPrograms>): boolean {
    for (const { links } of hooks) if (links.some(({ program }) => this.#sharing.has(program.tableIndex))) return false;
    return true;
  }

  /**
   * Runs EVENT records, each by the worker that owns its CPU, those of one CPU in their order. Returns how many began.
   * Rejects with what the first of them threw that broke off.
   */
  async run(events: number, count: number, options: CrewRun = {}): Promise<number> {
    if (this.#closed) throw new UsageError("CLOSED", "the runtime is closed");
    await this.start();
    return this.#inTurn(() => this.#run(events, count, options));
  }

  /** ns that the runs of each worker took since the last call. */
  takeElapsed(): bigint[] {
    return this.#members.map((member) => member.takeElapsed());
  }

  /** Ends a worker's thread (1 … workers) wherever it is; another takes its place when there is something to run. */
  async kill(worker: number): Promise<void> {
    await this.#members[worker - 1]?.kill();
  }

  /** Returns when all sleep. */
  settle(): void {
    for (const member of this.#members) member.settle();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all(this.#members.map((member) => member.close()));
    this.#world.arena.view.setUint32(NULL_GUARD_BYTES + RUNTIME.threads, 0, true);
  }

  async #start(): Promise<void> {
    for (const member of this.#members) member.start([...this.#installed.values()]);
    await this.#allDone();
    this.#world.arena.view.setUint32(NULL_GUARD_BYTES + RUNTIME.threads, this.workers, true);
  }

  /** One after the other: what runs, and what must not come in between. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #allDone(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.done()));
  }

  async #run(events: number, count: number, { relieve, signal, foreign, times = 1 }: CrewRun): Promise<number> {
    this.#foreign = foreign ?? null;
    const shares = this.#divide(events, count, times);
    const isOpen = (share: Share): boolean => share.times > 0;
    while (shares.some(isOpen) && signal?.aborted !== true && !this.#closed) {
      const open = shares.filter(isOpen);
      for (const { member } of open) if (member.isDead) member.start([...this.#installed.values()]);
      await Promise.all(open.map(({ member }) => member.done()));
      const running = open.filter(({ member }) => !member.isDead);
      for (const share of running) share.run(relieve !== undefined);
      await Promise.all(running.map(({ member }) => member.done()));
      for (const share of open) this.#follow(share, running.includes(share));
      const failed = open.map(({ member }) => member.takeError()).find((error) => error !== null);
      if (failed !== undefined) throw failed;
      if (shares.some(isOpen)) await relieve?.();
    }
    return shares.reduce((sum, share) => sum + share.begun(times), 0);
  }

  /** Notes how far a worker came; one that died as it started came nowhere. */
  #follow(share: Share, ran: boolean): void {
    const { member } = share;
    const isFurther = ran && share.advance(member.timesLeft, member.next);
    share.deaths = member.isDead && !isFurther ? share.deaths + 1 : 0;
    if (share.deaths < MOST_DEATHS) return;
    throw new FaultError("WORKER_LOST", `worker ${member.id} died ${MOST_DEATHS} times before it had run an event`, {
      cause: this.#losses.at(-1)?.error,
    });
  }

  /** Copies the events to the queues of their CPUs' workers, with the hooks of their lanes. */
  #divide(events: number, count: number, times: number): Share[] {
    const { arena } = this.#world;
    const counts = this.#members.map(() => 0);
    const owners = new Uint16Array(count);
    for (let index = 0; index < count; index++) {
      const cpu = arena.view.getUint32(events + index * EVENT.bytes + EVENT.cpu, true);
      const owner = arena.view.getUint32(cpu + CPU.owner, true) - 1;
      owners[index] = owner;
      counts[owner]! += 1;
    }
    for (const [index, queue] of this.#queues.entries()) this.#reserve(queue, counts[index]!);
    const ends = this.#queues.map(({ address }) => address);
    const { u32, view } = arena;
    for (let index = 0; index < count; index++) {
      const owner = owners[index]!;
      const to = ends[owner]!;
      const from = (events + index * EVENT.bytes) / 4;
      u32.copyWithin(to / 4, from, from + EVENT.bytes / 4);
      const hook = view.getUint32(to + EVENT.hook, true);
      view.setUint32(to + EVENT.hook, hook + this.#members[owner]!.lane * HOOK.bytes, true);
      ends[owner] = to + EVENT.bytes;
    }
    return this.#members.flatMap((member, index) => {
      const begin = this.#queues[index]!.address;
      const end = ends[index]!;
      return begin === end ? [] : [new Share(member, begin, end, times)];
    });
  }

  #reserve(queue: { address: number; capacity: number }, count: number): void {
    if (queue.capacity >= count) return;
    const { arena } = this.#world;
    arena.free(queue.address);
    queue.address = 0;
    queue.capacity = Math.max(count, 2 * queue.capacity, 256);
    queue.address = arena.allocate(queue.capacity * EVENT.bytes, 64);
  }

  #answer(request: number, values: readonly number[]): number {
    if (request === REQUEST.taskStruct) return this.#world.kernel.taskStruct(values[0]! >>> 0);
    const [low, high, destination, bytes, user] = values as [number, number, number, number, number];
    const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    const space = user === 1 ? "user" : "kernel";
    return this.#foreign?.readForeign?.(address, destination >>> 0, bytes, space) ?? 0;
  }

  /** A worker is dead for certain: puts right what it left. Its thread is started anew when it has something to do. */
  #bury(member: Member, inEvent: boolean, error: Error | null): void {
    const { arena, maps } = this.#world;
    const { maps: changed, records } = repairAfter(arena, maps, member, (lock) => this.#acquire(lock));
    const loss: WorkerLoss = { worker: member.id, inEvent, maps: changed, records, error };
    this.#losses.push(loss);
    this.#options.onLoss(loss);
  }

  /** Takes a lock for the main worker. */
  #acquire(lock: number): void {
    const { i32 } = this.#world.arena;
    for (let asked = 0; ; asked++) {
      const owner = Atomics.compareExchange(i32, lock / 4, 0, 1);
      if (owner === 0) return;
      this.#contended(lock, owner, asked);
    }
  }

  /** The main worker waits for a lock: its owner may be dead, which the event loop has no chance to tell. */
  #contended(lock: number, owner: number, asked: number): void {
    const now = performance.now();
    if (asked === 0 || this.#held.owner !== owner) this.#held = { owner, since: now };
    if (Atomics.wait(this.#world.arena.i32, lock / 4, owner, 0.2) !== "timed-out") return;
    this.#members.find(({ id }) => id === owner - 1)?.checkAlive();
    if (now - this.#held.since < LONGEST_HOLD_MS) return;
    throw new MapError("MAP_OPERATION", `worker ${owner - 1} has held a lock for ${LONGEST_HOLD_MS / 1000} s`, {
      errno: "EBUSY",
    });
  }
}
