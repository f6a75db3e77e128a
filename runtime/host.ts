/** What the runtime takes from the machine it runs on: clocks, the calling process, a turn of the event loop. Nothing else asks Node. */
import type { TaskInfo } from "./task.ts";

/** CLOCK_MONOTONIC, ns. */
export const monotonicNs = (): bigint => process.hrtime.bigint();

/** The calling process as the current task, as a test run in the kernel has it. */
export function callingTask(): TaskInfo {
  return {
    pid: process.pid,
    tgid: process.pid,
    ppid: process.ppid,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    comm: "node",
  };
}

/** Resolves after timers, input and output had their turn. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
