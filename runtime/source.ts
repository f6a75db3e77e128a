/**
 * What an event source is to the runtime: something that decodes its input straight into the arena and yields batches of
 * EVENT records for the hooks that have links. runtime/pump.ts drives it; runtime/sources/ implements it, one file each.
 */
import type { Architecture, CType, HookKind } from "../spec/index.ts";
import type { KernelSpace } from "./kernel/index.ts";
import type { TaskInfo } from "./task.ts";

/** A hook that programs are attached to: the source writes `address` (HOOK in spec/abi.ts) into EVENT.hook. */
export interface WantedHook {
  readonly kind: HookKind;
  readonly name: string;
  readonly address: number;
  /** what its programs may read of the traced process; absent: not known */
  readonly reads?: UserReading;
}

export interface UserReading {
  /** zero-terminated texts of its memory */
  readonly texts: boolean;
  /** anything else of its memory */
  readonly memory: boolean;
  /** whose it is: its user and group */
  readonly owner: boolean;
}

/** The part of the runtime that a source works with. */
export interface SourceWorld {
  /** live views on the arena: read the property anew after anything that may grow the memory */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** virtual CPUs are 0 … cpus - 1 */
  readonly cpus: number;
  /** address of the block (CPU in spec/abi.ts) of a virtual CPU: goes to EVENT.cpu. The id must be below `cpus`. */
  cpuBlock(id: number): number;
  /** Zeroed arena memory that stays the source's until it frees it; what is left is freed when the source is closed. */
  allocate(bytes: number, alignment?: number): number;
  free(address: number): void;
  /** TASK of pid 0 (`swapper/0`): what EVENT.task holds where the source knows no task. EVENT.task is never 0. */
  readonly idleTask: number;
  /** objects that pointers in the arguments of events mean */
  readonly kernel: KernelSpace;
  /** EVENT that the calling thread runs programs for: readForeign() is asked on its behalf. 0: none, or another thread asks */
  currentEvent(): number;
  /** aborted when the run is cancelled: a waiting nextBatch() should return null */
  readonly signal: AbortSignal;
}

/** EVENT records, one behind the other. They, what they point to, and the ctx bytes stay untouched until the next call. */
export interface EventBatch {
  readonly address: number;
  readonly count: number;
}

/** An event that the input carries or can carry. */
export interface SourceEvent {
  readonly kind: HookKind;
  readonly name: string;
  /** bytes of the fixed part of its ctx, null where unknown */
  readonly ctxBytes: number | null;
  /** its ctx as a struct, where the input says; compare with what a program was compiled for by requireLayout() */
  readonly type?: CType | null;
}

export interface SourceLoss {
  /** events that the recorder says it dropped */
  readonly count: bigint;
  /** virtual CPU, null where the record does not say */
  readonly cpu: number | null;
}

export interface SourceProgress {
  /** bytes of input read so far, and in all; `total` null where the input has no end known beforehand */
  readonly done: number;
  readonly total: number | null;
}

/**
 * A source is constructed from its input's headers (so `cpus` and `events` are known before a runtime is made), is opened
 * once, and is closed once, also after an error. Errors are CaptureError; a truncated input yields every complete event
 * first and throws CAPTURE_TRUNCATED from the nextBatch() behind them.
 */
export interface EventSource {
  /** for messages: the path, usually */
  readonly name: string;
  /** virtual CPUs that it needs at least: highest recorded CPU number + 1 */
  readonly cpus: number;
  /** Its events happen now: what programs write is handed on after every batch, not only when buffers fill. Absent: they do not. */
  readonly isLive?: boolean;
  /** machine whose registers the ctx of its probes has; absent: that of the programs */
  readonly architecture?: Architecture;
  /** what the input carries; null: not known beforehand (an embedder's source that feeds any hook) */
  readonly events: readonly SourceEvent[] | null;
  /** Of a source that has too many events to list them, and `events` null: one of them, null where it is not known. */
  describe?(kind: HookKind, name: string): SourceEvent | null;
  /** Called once before the first batch. Events of hooks that are not wanted are skipped. */
  open(world: SourceWorld, wanted: readonly WantedHook[]): Promise<void>;
  /** The next batch, at most a few thousand events; null at the end. In order of time, as far as the input allows. */
  nextBatch(): Promise<EventBatch | null>;
  /**
   * Memory that came with the events of the current batch, by its recorded 64-bit address: copies up to `bytes` bytes to
   * `destination` in the arena. Returns the bytes known there, 0 where the address is not known. Absent: none comes with them.
   * `isText`: only what lies before the first zero byte is looked at; absent: not known.
   */
  readForeign?(address: bigint, destination: number, bytes: number, space: "kernel" | "user", isText?: boolean): number;
  /**
   * What is known of a thread beyond its TASK block, when a program looks at its task_struct: namespaces, cgroup, parents
   * (readTask() of proc.ts, for what runs now). Absent: nothing.
   */
  readonly describeTask?: (tid: number) => TaskInfo | null;
  /**
   * Hooks of the USDT probe `PATH:provider:name`, one for each set of operands that it has, by what its file says. Throws
   * AttachError where there is no such probe. Absent: the source has none.
   */
  usdtHooks?(probe: string): readonly { readonly name: string; readonly args: string }[];
  /** losses so far */
  readonly lost: readonly SourceLoss[];
  readonly progress: SourceProgress;
  close(): Promise<void>;
}
