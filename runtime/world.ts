/**
 * One worker's world: the arena, the worker's block and virtual CPUs, its table of programs, the wasm library and what
 * helpers in TypeScript see. Everything that runs programs goes through here, so that a run that breaks off (a trap, a
 * fault, an error thrown by an embedder's callback) leaves a world in which the next run works.
 */
import { BugError, FaultError, joinU64, UsageError } from "../base/index.ts";
import {
  CPU,
  CPU_STACK_BYTES,
  CPU_STACK_RESERVE_BYTES,
  ERRNO,
  EVENT,
  EVENT_FLAG,
  FAULT,
  type HelperHost,
  HOOK,
  LINK,
  NULL_GUARD_BYTES,
  RUNTIME,
  type SequenceFile,
  TASK,
  WORKER,
} from "../spec/index.ts";
import { Arena, type ArenaOptions } from "./arena.ts";
import { monotonicNs } from "./host.ts";
import { SeqFiles } from "./iter/seq-file.ts";
import { KernelSpace, ObjectWatch } from "./kernel/index.ts";
import { instantiateLibrary, type Library, type LibraryHost } from "./library.ts";
import type { BpfMap } from "./maps/map.ts";
import type { EventSource } from "./source.ts";
import { hasDetails, IDLE_TASK, type TaskInfo, writeTask } from "./task.ts";

export interface WorldOptions extends ArenaOptions {
  /** gets the lines of bpf_trace_printk */
  readonly trace?: ((line: string) => void) | undefined;
  /** what programs read of kernel objects that nobody gave them is noted: World.watch */
  readonly strict?: boolean | undefined;
}

/** `batch:NAME` of a module: (EVENT records, how many) → how many ran, see EXPORT. */
export type BatchFunction = (events: number, count: number) => number;

/**
 * Runs one inside the other (a callback of a helper fires a hook); a deeper one does not start and counts as a miss. The
 * kernel starts not even the second on one CPU.
 */
const NESTING_LIMIT = 16;

/** Memory that came with events: what a source says of it. */
export type ForeignMemory = Pick<EventSource, "readForeign">;

/** Where the world of a worker on a thread of its own lies: in the arena of another. */
export interface WorkerPlace {
  readonly arena: Arena;
  /** address of its WORKER block */
  readonly worker: number;
  /** addresses of the blocks of its virtual CPUs */
  readonly cpus: readonly number[];
  readonly idleTask: number;
  readonly library: WebAssembly.Module;
  /** asks the main worker, whose thread hands out memory */
  readonly taskStruct: (task: number) => number;
  readonly contended: Contended;
}

/** LIBRARY_IMPORTS.contended */
type Contended = (lock: number, owner: number, asked: number) => void;

export class World implements HelperHost {
  readonly arena: Arena;
  readonly worker: number;
  readonly table = new WebAssembly.Table({ element: "anyfunc", initial: 0 });
  /** also for modules that carry the library's functions themselves */
  readonly libraryHost: LibraryHost;
  /** maps of a world with the same seed iterate in the same order */
  readonly hashSeed: number | undefined;
  /** address of the TASK of pid 0 */
  readonly idleTask: number;
  /** who answers reads of addresses that are not in the arena */
  foreign: ForeignMemory | null = null;
  /** what sources know of kernel objects */
  readonly kernel: KernelSpace;
  /** null: nobody wants to know what programs read of kernel objects */
  readonly watch: ObjectWatch | null = null;
  /** what iterators write to */
  readonly sequences = new SeqFiles();
  /** the open maps */
  readonly maps = new Set<BpfMap>();
  /** Returns when no other worker runs a program. */
  settle: () => void = () => {};
  /** Called when another worker has a lock whenever one looks; returns after a while. */
  contended: Contended = () => {
    throw new BugError("a lock is held by another worker, and there is none");
  };
  readonly #trace: (line: string) => void;
  readonly #place: WorkerPlace | null;
  #library: Library | null = null;
  /** name of the program in each slot of the table, null: the slot is free */
  readonly #names: (string | null)[] = [];
  /** calls into Wasm under way, one inside the other */
  #depth = 0;
  /** the program of a run without a link */
  #directProgram: string | null = null;
  readonly #whenIdle: (() => void)[] = [];

  constructor(options: WorldOptions, place: WorkerPlace | null = null) {
    this.arena = place?.arena ?? new Arena(options);
    this.hashSeed = options.seed;
    this.worker = place?.worker ?? this.arena.worker(0);
    this.#place = place;
    if (place !== null) this.contended = place.contended;
    if (options.strict === true) {
      this.watch = new ObjectWatch(() => this.#runningProgram() ?? this.#directProgram);
      this.view.setUint32(NULL_GUARD_BYTES + RUNTIME.strict, 1, true);
    }
    this.kernel = new KernelSpace(this.arena, this.watch);
    this.#trace = options.trace ?? (() => {});
    this.idleTask = place?.idleTask ?? this.makeTask(IDLE_TASK);
    this.libraryHost = {
      contended: (lock, owner, asked) => {
        this.contended(lock, owner, asked);
        return undefined;
      },
      now: () => {
        const now = monotonicNs();
        this.setResult(Number(now & 0xffff_ffffn), Number(now >> 32n));
        return undefined;
      },
      watch_read: (low, high, bytes) => {
        this.watch?.read(low >>> 0, high >>> 0, bytes >>> 0);
        return undefined;
      },
      task_struct: place?.taskStruct ?? ((task) => this.kernel.taskStruct(task)),
      read_foreign: (low, high, destination, bytes, user) =>
        this.foreign?.readForeign === undefined && this.watch === null
          ? unknownAddress(bytes)
          : this.#readForeign(joinU64(low, high), destination >>> 0, bytes, user === 0 ? "kernel" : "user"),
    };
  }

  /** What TypeScript calls; programs carry their own. Made when it is called first: compiling it takes a ms or two. */
  get library(): Library {
    const { arena, worker, table, libraryHost: host } = this;
    this.#library ??= instantiateLibrary({ arena, worker, table, host, module: this.#place?.library });
    return this.#library;
  }

  get bytes(): Uint8Array {
    return this.arena.bytes;
  }
  get view(): DataView {
    return this.arena.view;
  }

  /** Something runs: a callback of a helper is on the stack. */
  get isRunning(): boolean {
    return this.#depth > 0;
  }

  /** Calls `action` at once, or when the outermost run under way is over: for memory that it may still use. */
  whenIdle(action: () => void): void {
    this.settle();
    if (this.#depth === 0) action();
    else this.#whenIdle.push(action);
  }

  makeTask(task: TaskInfo): number {
    if (hasDetails(task)) this.kernel.tasks.tell(task.pid, task);
    const address = this.arena.allocate(TASK.bytes);
    writeTask(this.view, address, task);
    return address;
  }

  // programs

  /** Puts a program's main function, or its batch loop, into the table; returns its index. */
  install(name: string, main: WebAssembly.ExportedFunction): number {
    const free = this.#names.indexOf(null);
    const index = free >= 0 ? free : this.#names.length;
    this.installAt(index, name, main);
    return index;
  }

  /** The same at an index that another worker has chosen: all have the same table. */
  installAt(index: number, name: string, main: WebAssembly.ExportedFunction): void {
    while (index >= this.table.length) this.table.grow(Math.max(1, this.table.length));
    this.table.set(index, main);
    this.#names[index] = name;
  }

  uninstall(index: number): void {
    this.whenIdle(() => {
      this.table.set(index, null);
      this.#names[index] = null;
    });
  }

  /**
   * Runs EVENT records through the links of their hooks. Returns how many ran: fewer where a ring producer wants its
   * readers to drain (WORKER.yield).
   */
  runEvents(address: number, count: number): number {
    this.countRuns();
    if (this.#depth >= NESTING_LIMIT) return this.#miss(address, count);
    return this.#guarded(() => this.library.run_events(address, count) >>> 0);
  }

  /**
   * Runs one program on an EVENT, with no link, and returns r0, unsigned. EBUSY where runs under way left too little of
   * the CPU's stack, or are too many.
   */
  runProgram(index: number, event: number): bigint {
    const main = this.table.get(index) as ((ctx: number) => bigint) | null;
    if (main === null) throw new BugError(`slot ${index} of the table is empty`);
    return this.#direct(this.#names[index] ?? "", event, (cpu) => {
      const { view } = this;
      view.setUint32(cpu + CPU.event, event, true);
      view.setUint32(cpu + CPU.tailCalls, 0, true);
      return BigInt.asUintN(64, main(view.getUint32(event + EVENT.ctx, true)));
    });
  }

  /** Runs a module's `batch:NAME` on EVENT records of one CPU, with no link; what it throws: as runProgram(). */
  runBatch(program: string, batch: BatchFunction, events: number, count: number): number {
    return this.#direct(program, events, () => {
      this.view.setUint32(this.worker + WORKER.yield, 0, true);
      return batch(events, count) >>> 0;
    });
  }

  /**
   * Brings LINK.runs up to date in the middle of a run, which the batch driver does at its end: for who reads it, and before
   * what the driver knows is kept for later or lost.
   */
  countRuns(): void {
    if (this.#depth === 0) return;
    const { view } = this;
    for (const cpu of this.#cpuBlocks()) {
      const first = view.getUint32(cpu + CPU.uncounted, true);
      if (first === 0) continue;
      const next = view.getUint32(cpu + CPU.event, true) + EVENT.bytes;
      const runs = view.getUint32(cpu + CPU.link, true) + LINK.runs;
      view.setBigUint64(runs, view.getBigUint64(runs, true) + BigInt((next - first) / EVENT.bytes), true);
      view.setUint32(cpu + CPU.uncounted, next, true);
    }
  }

  // what helpers see (HelperHost)

  setResult(low: number, high: number): void {
    const { view } = this;
    view.setUint32(this.worker + WORKER.result, low, true);
    view.setUint32(this.worker + WORKER.result + 4, high, true);
  }

  nowNs(): bigint {
    const { view } = this;
    const event = this.currentEvent();
    if (event === 0 || (view.getUint32(event + EVENT.flags, true) & EVENT_FLAG.liveClock) !== 0) return monotonicNs();
    return view.getBigUint64(event + EVENT.time, true);
  }

  /** Address of the EVENT under way, 0: none is. */
  currentEvent(): number {
    const { view } = this;
    const cpu = view.getUint32(this.worker + WORKER.cpu, true);
    return cpu === 0 ? 0 : view.getUint32(cpu + CPU.event, true);
  }

  traceLine(text: string): void {
    this.#trace(text);
  }

  readAddress(low: number, high: number, destination: number, bytes: number, space: "kernel" | "user"): number {
    const read = space === "kernel" ? this.library.bpf_probe_read_kernel : this.library.bpf_probe_read_user;
    return read(destination, bytes, joinU64(low, high)) === 0 ? 0 : -ERRNO.EFAULT;
  }

  readString(low: number, high: number, destination: number, bytes: number, space: "kernel" | "user"): number {
    const read = space === "kernel" ? this.library.bpf_probe_read_kernel_str : this.library.bpf_probe_read_user_str;
    const length = read(destination, bytes, joinU64(low, high));
    return length < 0 ? -ERRNO.EFAULT : length;
  }

  sequence(low: number, high: number): SequenceFile | null {
    return this.sequences.find(low, high);
  }

  /** `host.fault`: an unchecked program did what a verified one cannot do. */
  fault(code: number, insnIndex: number): never {
    const where = { insnIndex };
    if (code === FAULT.budget) {
      throw new FaultError("BUDGET_EXHAUSTED", `no end within the budget, at instruction ${insnIndex}`, { where });
    }
    throw new FaultError("MEMORY_FAULT", `access outside stack and memory at instruction ${insnIndex}`, { where });
  }

  // private

  /** As LIBRARY_IMPORTS.read_foreign. */
  #readForeign(address: bigint, destination: number, bytes: number, space: "kernel" | "user"): number {
    const source = this.foreign;
    const wanted = Math.abs(bytes);
    const known = source?.readForeign?.(address, destination, wanted, space, bytes < 0) ?? 0;
    if (known === 0) {
      if (space === "kernel") this.watch?.unknown(address, wanted);
      return unknownAddress(bytes);
    }
    if (bytes >= 0) return known >= wanted ? 0 : -ERRNO.EFAULT;
    const end = this.bytes.subarray(destination, destination + known).indexOf(0);
    if (end >= 0) return end + 1;
    return known >= wanted ? wanted : -ERRNO.EFAULT;
  }

  /** Calls a program of no link on the CPU of `event`, and puts back what ran there before. */
  #direct<Result>(program: string, event: number, call: (cpu: number) => Result): Result {
    const { view } = this;
    const cpu = view.getUint32(event + EVENT.cpu, true);
    const room = view.getUint32(cpu + CPU.sp, true) - view.getUint32(cpu + CPU.stackFloor, true);
    if (room < CPU_STACK_RESERVE_BYTES || this.#depth >= NESTING_LIMIT) {
      throw new UsageError("USAGE", "runs under way leave no room for one more inside them", { errno: "EBUSY" });
    }
    this.countRuns();
    return this.#guarded(() => {
      const outer = new Ambient(this, [cpu]);
      view.setUint32(this.worker + WORKER.cpu, cpu, true);
      view.setUint32(cpu + CPU.uncounted, 0, true);
      view.setUint32(cpu + CPU.link, 0, true);
      view.setBigUint64(cpu + CPU.cookie, 0n, true);
      view.setUint32(cpu + CPU.nesting, view.getUint32(cpu + CPU.nesting, true) + 1, true);
      const around = this.#directProgram;
      this.#directProgram = program;
      const result = call(cpu);
      this.#directProgram = around;
      outer.restore();
      return result;
    }, program);
  }

  /** Counts what does not run as misses of its links. */
  #miss(address: number, count: number): number {
    const { view } = this;
    for (let event = address; event < address + count * EVENT.bytes; event += EVENT.bytes) {
      const hook = view.getUint32(event + EVENT.hook, true);
      const first = view.getUint32(hook + HOOK.links, true);
      const end = first + view.getUint32(hook + HOOK.linkCount, true) * LINK.bytes;
      for (let link = first; link < end; link += LINK.bytes) {
        view.setBigUint64(link + LINK.misses, view.getBigUint64(link + LINK.misses, true) + 1n, true);
      }
    }
    return count;
  }

  #guarded<Result>(call: () => Result, program: string | null = null): Result {
    if (this.#depth === 0) this.settle();
    // The outermost run starts from an idle world, so there is nothing to keep.
    const outer = this.#depth === 0 ? null : new Ambient(this, this.#cpuBlocks());
    this.#depth++;
    try {
      return call();
    } catch (cause) {
      const error = this.#explain(cause, program);
      this.countRuns();
      if (outer === null) this.#reset();
      else outer.restore();
      throw error;
    } finally {
      this.#depth--;
      if (this.#depth === 0 && this.#whenIdle.length > 0) for (const action of this.#whenIdle.splice(0)) action();
    }
  }

  #explain(cause: unknown, program: string | null): unknown {
    const name = program ?? this.#runningProgram();
    if (cause instanceof FaultError && cause.where.program === undefined && name !== null) {
      const { code, message, where } = cause;
      return new FaultError(code as "MEMORY_FAULT", message, { where: { ...where, program: name }, cause });
    }
    // Wasm's own traps, and its stack overflow. Whatever else is thrown comes from a callback and is the embedder's.
    if (!isTrap(cause)) return cause;
    const where = name === null ? {} : { program: name };
    return new BugError(`program ${name ?? "(unknown)"} trapped: ${cause.message}`, {
      code: "PROGRAM_TRAPPED",
      where,
      cause,
    });
  }

  /** The program of the link that the current CPU runs. */
  #runningProgram(): string | null {
    const { view } = this;
    const cpu = view.getUint32(this.worker + WORKER.cpu, true);
    const link = cpu === 0 ? 0 : view.getUint32(cpu + CPU.link, true);
    return link === 0 ? null : (this.#names[view.getUint32(link + LINK.program, true)] ?? null);
  }

  /** Of the CPUs that this worker runs programs on. */
  #cpuBlocks(): readonly number[] {
    return this.#place?.cpus ?? Array.from({ length: this.arena.cpus }, (_, id) => this.arena.cpu(id));
  }

  /** Nothing runs on any CPU. */
  #reset(): void {
    const { view } = this;
    for (const word of WORKER_WORDS) view.setUint32(this.worker + word, 0, true);
    for (const cpu of this.#cpuBlocks()) {
      view.setUint32(cpu + CPU.sp, view.getUint32(cpu + CPU.stackFloor, true) + CPU_STACK_BYTES, true);
      for (const word of [...RUN_WORDS, CPU.reservations, CPU.bareRecord]) {
        view.setUint32(cpu + word, 0, true);
      }
      view.setBigUint64(cpu + CPU.cookie, 0n, true);
    }
  }
}

/** V8 says in words only that its stack overflowed. */
function isTrap(cause: unknown): cause is Error {
  if (cause instanceof WebAssembly.RuntimeError) return true;
  return cause instanceof RangeError && cause.message.includes("call stack");
}

/** The state of runs under way, to be put back when an inner run is over. */
class Ambient {
  readonly #world: World;
  readonly #worker: readonly number[];
  readonly #cpus: readonly { readonly address: number; readonly words: readonly number[]; readonly cookie: bigint }[];

  constructor(world: World, cpus: readonly number[]) {
    const { view } = world;
    this.#world = world;
    this.#worker = WORKER_WORDS.map((word) => view.getUint32(world.worker + word, true));
    this.#cpus = cpus.map((address) => ({
      address,
      words: AMBIENT_WORDS.map((word) => view.getUint32(address + word, true)),
      cookie: view.getBigUint64(address + CPU.cookie, true),
    }));
  }

  restore(): void {
    const { view, worker } = this.#world;
    WORKER_WORDS.forEach((word, index) => {
      view.setUint32(worker + word, this.#worker[index]!, true);
    });
    for (const { address, words, cookie } of this.#cpus) {
      AMBIENT_WORDS.forEach((word, index) => {
        view.setUint32(address + word, words[index]!, true);
      });
      view.setBigUint64(address + CPU.cookie, cookie, true);
    }
  }
}

/** Of the worker: what it does now. */
const WORKER_WORDS = [WORKER.cpu, WORKER.place, WORKER.depth] as const;
const RUN_WORDS = [CPU.event, CPU.tailCalls, CPU.link, CPU.outputNesting, CPU.nesting, CPU.uncounted] as const;
const AMBIENT_WORDS = [...RUN_WORDS, CPU.sp, CPU.reservations, CPU.bareRecord, CPU.bareBuffer] as const;

/** Where no byte is known: also what programs of a capture ask most, so it costs no bigint. */
const unknownAddress = (bytes: number): number => (bytes === 0 ? 0 : -ERRNO.EFAULT);
