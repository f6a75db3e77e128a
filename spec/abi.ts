/**
 * The contract between a compiled module, the wasm library and the runtime: where things lie in the arena and what a
 * module imports and exports. All offsets in bytes. Change ABI_VERSION with any of it.
 *
 *   0        64 KiB          never mapped to anything: a null pointer stays null
 *   64 KiB   runtime block   (RUNTIME)
 *   …        worker blocks, CPU blocks with their stacks, maps, rings, events: handed out by runtime/arena.ts
 */
export const ABI_VERSION = 5;

export const PAGE_BYTES = 4096;
export const NULL_GUARD_BYTES = 65_536;

/** One in the arena, at NULL_GUARD_BYTES. */
export const RUNTIME = {
  /** lock of atomic_unaligned: id + 1 of the worker that holds it, 0: free */
  atomicLock: 0,
  /** workers besides the main one: where it is 0 nobody else runs, and locks are not taken */
  threads: 4,
  /** 1: time is measured (LINK.ns): of every run, or of the stretch of events that a hook hands to a compiled loop */
  timed: 8,
  /** where members of the target's sk_buff and xdp_buff lie, plus one; 0: not known */
  skbData: 12,
  skbLength: 16,
  skbFragmented: 20,
  xdpData: 24,
  xdpDataEnd: 28,
  /** 1: the host is told of reads of kernel memory (LIBRARY_IMPORTS.watch_read) */
  strict: 32,
  bytes: 64,
} as const;

/**
 * Where user addresses end and kernel addresses begin, as probe reads tell them apart (x86-64 with four page table levels;
 * the bound for the kernel is wider, so that addresses of an arm64 capture count as the kernel's too).
 */
export const USER_ADDRESS_END = 0x7fff_ffff_f000n;
export const KERNEL_ADDRESS_START = 0xffff_0000_0000_0000n;

/**
 * Upper half of a pointer into the arena where a program can see its value; null stays 0.
 * It looks like a kernel address, so `bpf_probe_read(0x404030)` of a user address never hits the arena.
 */
export const POINTER_TAG = 0xffff_c900;

/** One a worker: what its instances need to find their world. Imported as the global `env.worker` (i32, its address). */
export const WORKER = {
  /** address of the CPU block of the run under way, 0 outside */
  cpu: 0,
  id: 4,
  /** 64-bit results of helpers in TypeScript */
  result: 8,
  /** set non-zero by a ring producer that passed half of its buffer: the batch driver returns after this event */
  yield: 16,
  /** addresses of 256-byte scratch buffers for TypeScript's map calls */
  scratchKey: 20,
  scratchValue: 24,
  /** 4 × the number of the worker's lane: its place in tables of one u32 a lane */
  lane: 28,
  /** address of the first EVENT of the stretch that run_events runs, in the end of the first that did not run */
  next: 32,
  /**
   * What programs compiled with `profile` write: the place they are at (ProfileTable, counted from IMPORT.places), 0: in none.
   * The 4 bytes behind it are theirs too and mean nothing.
   */
  place: 64,
  /** calls of subprograms under way, and the place of each: the last PROFILE_FRAMES of them, by depth modulo that */
  depth: 72,
  frames: 76,
  bytes: 192,
} as const;
/** Power of two; a program calls no more than 7 functions deep. */
export const PROFILE_FRAMES = 16;

/** One a virtual CPU. Its stack area follows the block and grows down from `stackTop`. */
export const CPU = {
  id: 0,
  /** lowest used stack address; a function's frame lies below it */
  sp: 4,
  /** address of the event that runs (EVENT): the ambient context */
  event: 8,
  /** tail calls since the run began */
  tailCalls: 12,
  /** attach cookie of the link that runs */
  cookie: 16,
  /** address of the link that runs (LINK), 0: none (test run) */
  link: 24,
  stackFloor: 28,
  /** four u32 of state for bpf_get_prandom_u32 */
  random: 32,
  /** nested perf outputs under way */
  outputNesting: 48,
  /** worker id that owns it */
  owner: 52,
  /** runs under way on this CPU */
  nesting: 56,
  /** perf records that are reserved and neither committed nor discarded */
  reservations: 60,
  /** the one of them without a header (PERF_MODE.BARE) and its buffer: addresses, 0: none */
  bareRecord: 64,
  bareBuffer: 68,
  /** address of the first EVENT of the batch under way that is not yet in LINK.runs, 0: runs are counted as they start */
  uncounted: 72,
  bytes: 128,
} as const;
/** Stack of one virtual CPU: 33 tail calls out of subprograms at 256 bytes, 8 frames of 512, and nested runs. */
export const CPU_STACK_BYTES = 65_536;
/** A run does not start with less room than this: it counts as a miss, as recursion does in the kernel. */
export const CPU_STACK_RESERVE_BYTES = 16_384;

/** One an event in flight. */
export const EVENT = {
  /** address of the ctx */
  ctx: 0,
  /** address of the CPU block */
  cpu: 4,
  /** ns */
  time: 8,
  /** address of the current task (TASK) */
  task: 16,
  /** address of the hook (HOOK) that it fires */
  hook: 20,
  /** bytes of the payload behind ctx */
  size: 24,
  flags: 28,
  bytes: 32,
} as const;

/** The same in words of 4 bytes, for code that writes many. */
export const EVENT_WORDS = {
  ctx: EVENT.ctx / 4,
  cpu: EVENT.cpu / 4,
  time: EVENT.time / 4,
  task: EVENT.task / 4,
  hook: EVENT.hook / 4,
  size: EVENT.size / 4,
  flags: EVENT.flags / 4,
  event: EVENT.bytes / 4,
} as const;

/**
 * What lies right before a ctx of arguments or registers (HOOKS in hooks.ts): the function that the program runs at, and how
 * many 8-byte arguments the ctx has, the result behind them not counted. Offsets from `ctx - bytes`.
 */
export const CTX_HEAD = { address: 0, arguments: 8, bytes: 16 } as const;

/** The task behind an event. */
export const TASK = {
  pid: 0,
  tgid: 4,
  uid: 8,
  gid: 12,
  comm: 16,
  /** tagged pointer to the task_struct instance, 0: none is given */
  taskStruct: 32,
  startTimeNs: 40,
  cgroupId: 48,
  ppid: 56,
  bytes: 64,
} as const;
export const COMM_BYTES = 16;

/** A hook and, at `links`, `linkCount` LINK records in order of attachment. */
export const HOOK = {
  linkCount: 0,
  links: 4,
  /** index + 1 in the worker's table of the `batch:NAME` of the only link's program, 0: there is not one link */
  batch: 8,
  bytes: 12,
} as const;
export const LINK = {
  /** index of the program in the worker's table */
  program: 0,
  id: 4,
  cookie: 8,
  runs: 16,
  misses: 24,
  /** of the runs that were measured */
  ns: 32,
  bytes: 40,
} as const;

/** One a map. Words from `private` on belong to the storage (wasm/ and runtime/maps agree on them in spec/library.ts). */
export const MAP = {
  type: 0,
  keySize: 4,
  valueSize: 8,
  maxEntries: 12,
  flags: 16,
  /** bytes from one value (one CPU's value) to the next */
  stride: 20,
  /** address of the first value */
  values: 24,
  cpus: 28,
  id: 32,
  /** id + 1 of the worker that changes it, 0: nobody */
  lock: 36,
  /** elements in it, where that varies */
  count: 40,
  /** STORAGE_ID in library.ts */
  storage: 44,
  /** offset of the spin lock in a value, plus 1; 0: it has none */
  spinLock: 48,
  /** address of the list of a value's special fields: offset and bytes of each, ascending, then the value's size and 0; 0: none */
  fields: 52,
  private: 64,
  bytes: 192,
} as const;

/** What a compiled module imports. */
export const IMPORT = {
  env: "env",
  memory: "memory",
  table: "table",
  worker: "worker",
  /** of modules compiled with `profile`, globals (i32): number of their first place; address of the worker's entry counts */
  places: "places",
  entries: "entries",
  /** globals (i32): name = index of the map in the manifest → address of its descriptor */
  map: "map",
  /** globals (i32): name = index of the map → address of its first value (data maps, arrays) */
  mapValue: "mapvalue",
  /** functions in TypeScript, by helper name */
  helper: "helper",
  /** functions of the wasm library, by the names in library.ts, where the module does not carry them itself */
  library: "library",
  /** functions of the runtime: `fault` below, and those that the library imports (LIBRARY_IMPORTS) */
  host: "host",
  /** `host.fault`: (FAULT, insnIndex) → does not return. Called by programs that run unchecked only. */
  fault: "fault",
} as const;

/** First argument of `host.fault`. */
export const FAULT = { memory: 1, budget: 2 } as const;

/**
 * Prefixes of what it exports. `main:NAME` is `(i32 ctx) → i64`. `batch:NAME` is `(i32 events, i32 count) → i32 done`: runs
 * the first event and those behind it as far as they are of the same CPU and hook, the hook's links stay as they are and no
 * producer asks for its readers (WORKER.yield). It sets CPU.event and CPU.tailCalls; all else around a run is its caller's.
 */
export const EXPORT = { main: "main:", batch: "batch:" } as const;

/** Name of the custom section that carries the manifest as JSON. */
export const MANIFEST_SECTION = "bpfjit";
