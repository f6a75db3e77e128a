/**
 * What a live source is made of: events of this kernel's tracing, each of which says where it lies in tracefs, what its
 * records look like, and how one becomes EVENT records for the hooks that want it. The kernel's own tracepoints
 * (tracepoint.ts) and the probes that bpfjit defines (probes/) are such events; the source (source.ts) enables them in its
 * instance and hands them the records in order of time.
 */
import type { HookKind } from "../../../spec/index.ts";
import type { SourceWorld, WantedHook } from "../../source.ts";
import type { TracepointFormat } from "../format.ts";
import type { Tracefs } from "./tracefs.ts";

/** One record where it lies in the arena, in the page it was read in. The object is reused: take what you keep. */
export interface LiveRecord {
  /** address of the payload, which begins with the common_* fields; 4 modulo 8, as perf's is */
  payload: number;
  /** of the payload: a multiple of 4, so a little more than the format says where that is not */
  bytes: number;
  /** virtual CPU */
  cpu: number;
  /** CLOCK_MONOTONIC, ns, as two unsigned halves */
  timeLow: number;
  timeHigh: number;
  /** thread that caused it: common_pid */
  tid: number;
  /** its TASK block */
  task: number;
}

/** The batch that records are turned into. Everything in it stays as it is until its events have run. */
export interface LiveBatch {
  /** Adds an EVENT with the record's CPU, time and task; returns its address. */
  fire(record: LiveRecord, hook: number, ctx: number, ctxBytes: number): number;
  /** Memory until the batch has run, at a multiple of 64, not zeroed. The arena's views may be new afterwards. */
  scratch(bytes: number): number;
}

export interface LiveEvent {
  /** `system/name`: its directory below events/. It exists before the source asks for `format`. */
  readonly name: string;
  readonly format: TracepointFormat;
  /** EVENT records that one record becomes at most; 0: it is only taken note of */
  readonly fires: number;
  /** which records the kernel keeps, as its `filter` file has it; absent or null: all */
  readonly filter?: string | null;
  /**
   * Takes a record, in order of time among all of the source. False: nothing was done, because it would change memory that
   * events of the batch still show; it comes again as the first of the next batch. A bad payload is thrown as CaptureError.
   */
  emit(record: LiveRecord, batch: LiveBatch): boolean;
}

/** What is traced. */
export type LiveTarget =
  | { readonly pid: number }
  /** held back until everything is attached; `path` is the file that it will execute */
  | { readonly pid: number; readonly path: string; readonly args: readonly string[] };

/** Where events are made. `owner` (owner.ts) names everything that is made in tracefs, and is a C identifier. */
export interface LivePlace {
  readonly tracefs: Tracefs;
  readonly owner: string;
  readonly target: LiveTarget;
  readonly world: SourceWorld;
}

/** Events that bpfjit defines for hooks: made before the instance enables them, removed after the instance is gone. */
export interface LiveProbes {
  readonly events: readonly LiveEvent[];
  /** synchronous, also called from the process's exit handler; a second time does nothing */
  close(): void;
}

/** Makes the events of the wanted hooks of these kinds. Throws AttachError where it cannot, and leaves nothing behind then. */
export interface LiveProber {
  readonly kinds: readonly HookKind[];
  open(place: LivePlace, wanted: readonly WantedHook[]): LiveProbes;
}

/** A read of user memory, as EventSource.readForeign has it. */
export interface UserRead {
  readonly address: bigint;
  readonly destination: number;
  readonly bytes: number;
  readonly isText: boolean;
}

/** Memory of the traced processes, as programs read it. */
export interface UserMemory extends LiveProbes {
  /**
   * An EVENT of that record was added to the batch: what was captured for it may be joined to it now. `systemCall` tells of
   * the events of syscalls/ and raw_syscalls/, all of which have the call's number at 8.
   */
  fired(record: LiveRecord, event: number, systemCall: "enter" | "exit" | null): void;
  /** The batch has run. */
  release(): void;
  /**
   * Returns the bytes known, as EventSource.readForeign does. `event` is the EVENT under way (0: not known), `tgid` the process of its task.
   */
  read(event: number, tgid: number, wanted: UserRead): number;
}
