/**
 * How the main worker and one of its threads talk: words of a control block in the arena, on which both can sleep, and
 * messages, which each side takes from its port when the words say so, never from an event loop.
 */
import type { ArenaHandle } from "../arena.ts";
import type { MapPlace } from "../instance.ts";
import type { ProfilePlacement } from "../profile/code.ts";

/** Offsets in a control block. */
export const CONTROL = {
  /** what the thread is to do next: COMMAND */
  command: 0,
  /** what it does: STATE */
  state: 4,
  /** COMMAND.run: EVENT records and how many */
  events: 8,
  count: 12,
  /** the records are gone through so often, the round under way included, or betweenRounds(); ns that it took in all, u64 */
  times: 16,
  elapsed: 24,
  /** not 0: the run stops where readers are wanted */
  pauses: 32,
  /** STATE.asking: REQUEST and its arguments; the answer */
  request: 36,
  arguments: 40,
  answer: 60,
  /** the operating system's number of the thread, 0: not known */
  thread: 64,
  bytes: 128,
} as const;

/** CONTROL.times while WORKER.next is still of the round before, and what it means: so many rounds are left, the next has not begun. */
export const betweenRounds = (times: number): number => -1 - times;

/** mail: only read it. */
export const COMMAND = { none: 0, run: 1, mail: 2 } as const;
/** asking: it waits for an answer in the middle of a run. */
export const STATE = { idle: 0, busy: 1, asking: 2, dead: 3 } as const;
/** readForeign: (address low, high, destination, bytes, 1: user) → bytes known. taskStruct: (TASK) → address. */
export const REQUEST = { readForeign: 1, taskStruct: 2 } as const;

/** What a thread is started with. */
export interface ThreadData {
  readonly arena: ArenaHandle;
  /** addresses: of its control block, its WORKER block, its virtual CPUs' blocks, the idle task */
  readonly control: number;
  readonly worker: number;
  readonly cpus: readonly number[];
  readonly idleTask: number;
  /** the compiled library */
  readonly library: WebAssembly.Module;
}

/** Programs of an object, at the same places in every worker's table. */
export interface InstallMessage {
  readonly kind: "install";
  readonly module: WebAssembly.Module;
  readonly maps: readonly MapPlace[];
  /** of a module that says where it is, else null */
  readonly profile: ProfilePlacement | null;
  readonly programs: readonly { readonly name: string; readonly main: number; readonly batch: number }[];
}
export type MainMessage = InstallMessage | { readonly kind: "uninstall"; readonly indices: readonly number[] };

/** An error on its way from a thread. */
export interface SentError {
  readonly name: string;
  readonly code: string | null;
  readonly message: string;
  readonly where: Readonly<Record<string, unknown>>;
  readonly stack: string | undefined;
}
export type ThreadMessage =
  | { readonly kind: "trace"; readonly line: string }
  | { readonly kind: "error"; readonly error: SentError };
