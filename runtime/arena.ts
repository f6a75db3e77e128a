/**
 * The arena: the one linear memory in which everything lies that a program can touch (spec/abi.ts). Hands out zeroed
 * ranges of it, grows it, and lays out the blocks of workers and virtual CPUs. What goes into a range is its owner's matter.
 */
import { BugError, MapError, UsageError } from "../base/index.ts";
import { CPU, CPU_STACK_BYTES, NULL_GUARD_BYTES, RUNTIME, WORKER } from "../spec/index.ts";
import { RangeList } from "./ranges.ts";

const WASM_PAGE_BYTES = 65_536;
const LARGEST_MEMORY_BYTES = 65_536 * WASM_PAGE_BYTES;
/** What is tried, in this order, where the embedder does not say: a shared memory reserves its maximum at once. */
const DEFAULT_MAXIMUM_BYTES = [1 << 30, 1 << 29, 1 << 28, 1 << 27, 1 << 26];
const INITIAL_BYTES = 4 * WASM_PAGE_BYTES;
/** WORKER.scratchKey and scratchValue point to this much. */
export const SCRATCH_BYTES = 256;

export interface ArenaOptions {
  /** virtual CPUs: ids are 0 … cpus - 1, per-CPU maps have that many values */
  readonly cpus: number;
  /** the memory never grows beyond this; default 1 GiB, or less where the host refuses that */
  readonly maximumBytes?: number | undefined;
  /** what bpf_get_prandom_u32 starts from; the same seed gives the same numbers */
  readonly seed?: number | undefined;
  /** workers that may run at the same time, the main one included: lanes of ring buffers; default 1 */
  readonly lanes?: number | undefined;
}

/** An arena as another thread takes it: who made it hands out its memory. */
export interface ArenaHandle {
  readonly memory: WebAssembly.Memory;
  readonly maximumBytes: number;
  readonly cpus: number;
  readonly lanes: number;
  /** addresses of the blocks of all virtual CPUs */
  readonly cpuBlocks: readonly number[];
}

export class Arena {
  readonly memory: WebAssembly.Memory;
  readonly cpus: number;
  readonly lanes: number;
  readonly maximumBytes: number;
  readonly #seed: number;
  /** false: another thread hands out the memory */
  readonly #isOwn: boolean = true;
  readonly #ranges = new RangeList(NULL_GUARD_BYTES);
  readonly #cpuBlocks: number[] = [];
  readonly #workerBlocks: number[] = [];
  /** bytes from here on were never handed out, so they are zeros still */
  #touched = NULL_GUARD_BYTES;
  #ids = 0;

  #bytes!: Uint8Array;
  #view!: DataView;
  #u32!: Uint32Array;
  #i32!: Int32Array;
  #i64!: BigInt64Array;

  /** Throws MEMORY_UNAVAILABLE where the host refuses the memory, USAGE for options that make no sense. */
  constructor(options: ArenaOptions | ArenaHandle) {
    if ("memory" in options) {
      this.memory = options.memory;
      this.maximumBytes = options.maximumBytes;
      this.cpus = options.cpus;
      this.lanes = options.lanes;
      this.#seed = 0;
      this.#isOwn = false;
      this.#cpuBlocks.push(...options.cpuBlocks);
      this.refresh();
      return;
    }
    if (!Number.isInteger(options.cpus) || options.cpus < 1 || options.cpus > 8192)
      throw new UsageError("USAGE", `cpus is ${options.cpus}: a number from 1 to 8192 is needed`);
    this.cpus = options.cpus;
    this.lanes = options.lanes ?? 1;
    this.#seed = (options.seed ?? 1) >>> 0;
    const { memory, maximumBytes } = makeMemory(options.maximumBytes);
    this.memory = memory;
    this.maximumBytes = maximumBytes;
    this.refresh();
    this.allocate(RUNTIME.bytes);
  }

  /**
   * Live views on the memory. Take the property anew after anything that may allocate: growth makes an old view too short.
   * A view reads the memory of all workers, whoever grew it.
   */
  get bytes(): Uint8Array {
    return this.#bytes;
  }
  get view(): DataView {
    return this.#view;
  }
  /** by address / 4 */
  get u32(): Uint32Array {
    return this.#u32;
  }
  /** by address / 4, for Atomics.wait and notify */
  get i32(): Int32Array {
    return this.#i32;
  }

  /** by address / 8, for Atomics.load and store */
  get i64(): BigInt64Array {
    return this.#i64;
  }

  /** Takes the views anew: after another worker grew the memory, before addresses that it handed out are used. */
  refresh(): void {
    const buffer = this.memory.buffer;
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#i32 = new Int32Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
  }

  /**
   * Address of `bytes` zeroed bytes, aligned to a power of two of at least 8. Throws ARENA_EXHAUSTED. They are the caller's until
   * free(); memory that nobody writes to costs the host nothing.
   */
  allocate(bytes: number, alignment = 8): number {
    if (!this.#isOwn) throw new BugError("a worker's thread hands out no memory");
    const aligned = Math.max(8, alignment);
    const length = Math.max(8, Math.ceil(bytes / 8) * 8);
    const address = this.#ranges.allocate(length, aligned, this.maximumBytes);
    if (address === null)
      throw new MapError("ARENA_EXHAUSTED", `the arena of ${this.maximumBytes} bytes has no room for ${length} more`);
    try {
      this.#growTo(address + length);
    } catch (cause) {
      this.#ranges.free(address);
      throw cause;
    }
    if (address < this.#touched) this.bytes.fill(0, address, Math.min(address + length, this.#touched));
    this.#touched = Math.max(this.#touched, address + length);
    return address;
  }

  /** Gives back what allocate() returned; 0 is nothing. */
  free(address: number): void {
    if (address !== 0) this.#ranges.free(address);
  }

  /** Bytes handed out and not given back. */
  get usedBytes(): number {
    return this.#ranges.usedBytes;
  }

  /** A number that nothing else in this arena has: maps and links. */
  takeId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** For another thread. From then on every virtual CPU has its block. */
  get handle(): ArenaHandle {
    const { memory, maximumBytes, cpus, lanes } = this;
    return { memory, maximumBytes, cpus, lanes, cpuBlocks: Array.from({ length: cpus }, (_, id) => this.cpu(id)) };
  }

  /** Address of a worker's block (WORKER), made when it is first asked for. */
  worker(id: number): number {
    const known = this.#workerBlocks[id];
    if (known !== undefined) return known;
    const address = this.allocate(WORKER.bytes + 2 * SCRATCH_BYTES, 64);
    const view = this.view;
    view.setUint32(address + WORKER.id, id, true);
    view.setUint32(address + WORKER.scratchKey, address + WORKER.bytes, true);
    view.setUint32(address + WORKER.scratchValue, address + WORKER.bytes + SCRATCH_BYTES, true);
    this.#workerBlocks[id] = address;
    return address;
  }

  /** Address of a virtual CPU's block (CPU), made with its stack when it is first asked for. */
  cpu(id: number): number {
    const known = this.#cpuBlocks[id];
    if (known !== undefined) return known;
    if (!Number.isInteger(id) || id < 0 || id >= this.cpus)
      throw new UsageError("USAGE", `there is no virtual CPU ${id}: the runtime has ${this.cpus}`);
    const address = this.allocate(CPU.bytes + CPU_STACK_BYTES, 64);
    const view = this.view;
    const floor = address + CPU.bytes;
    view.setUint32(address + CPU.id, id, true);
    view.setUint32(address + CPU.stackFloor, floor, true);
    view.setUint32(address + CPU.sp, floor + CPU_STACK_BYTES, true);
    const random = splitMix32(this.#seed ^ Math.imul(id + 1, 0x9e37_79b9));
    for (let word = 0; word < 4; word++) view.setUint32(address + CPU.random + 4 * word, random(), true);
    this.#cpuBlocks[id] = address;
    return address;
  }

  #growTo(end: number): void {
    const have = this.memory.buffer.byteLength;
    if (end <= have) return;
    // a quarter more than needed, so that many small maps do not grow it one by one
    const wanted = Math.min(Math.max(end, Math.floor(have * 1.25)), this.maximumBytes);
    const pages = Math.ceil(wanted / WASM_PAGE_BYTES) - have / WASM_PAGE_BYTES;
    try {
      this.memory.grow(pages);
    } catch (cause) {
      throw new MapError("ARENA_EXHAUSTED", `the host refuses ${pages * WASM_PAGE_BYTES} bytes more`, { cause });
    }
    this.refresh();
  }
}

interface SizedMemory {
  readonly memory: WebAssembly.Memory;
  readonly maximumBytes: number;
}

function makeMemory(maximumBytes: number | undefined): SizedMemory {
  if (maximumBytes !== undefined && !(maximumBytes >= INITIAL_BYTES && maximumBytes <= LARGEST_MEMORY_BYTES))
    throw new UsageError(
      "USAGE",
      `maximumBytes is ${maximumBytes}: a number from ${INITIAL_BYTES} to ${LARGEST_MEMORY_BYTES} is needed`,
    );
  let cause: unknown;
  let refused = 0;
  for (const candidate of maximumBytes === undefined ? DEFAULT_MAXIMUM_BYTES : [maximumBytes]) {
    const maximum = Math.floor(candidate / WASM_PAGE_BYTES);
    try {
      const memory = new WebAssembly.Memory({ initial: INITIAL_BYTES / WASM_PAGE_BYTES, maximum, shared: true });
      return { memory, maximumBytes: maximum * WASM_PAGE_BYTES };
    } catch (error) {
      cause = error;
      refused = candidate;
    }
  }
  throw new MapError("MEMORY_UNAVAILABLE", `the host refuses a shared memory of ${refused} bytes`, {
    cause,
    // V8 reserves addresses for all that 32 bits can reach, whatever the maximum, to save bounds checks
    hint: "lower maximumBytes; under a limit of address space (ulimit -v) start node with --disable-wasm-trap-handler",
  });
}

/** A generator of 32-bit numbers that spreads one seed over a state. Source: SplitMix, in its 32-bit form. */
function splitMix32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0_aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a_2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}
