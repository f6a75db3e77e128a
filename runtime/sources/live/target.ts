/** What is traced: a process that runs, or a command that is started for it. */
import { AttachError } from "../../../base/index.ts";
import { readTask } from "../proc.ts";
import { threadsOf } from "../processes.ts";
import { findCommand, type HeldChild, startHeld } from "./child.ts";
import type { LiveTarget } from "./events.ts";
import type { Instance } from "./instance.ts";
import { processState } from "./owner.ts";
import type { TaskTracking } from "./tracking.ts";

export interface Target {
  /** for messages */
  readonly name: string;
  /** null: a process that ran before; or the command was not started yet */
  readonly child: HeldChild | null;
  readonly description: LiveTarget;
  start(): Promise<void>;
  /** it has ended */
  isOver(): boolean;
}

/** How often /proc is asked whether a process is there still. */
const LOOK_MS = 100;

/** Throws AttachError where there is no such process. */
export function processTarget(pid: number): Target {
  const state = processState(pid);
  if (state === null) {
    throw new AttachError("TRACING_TARGET", `there is no process ${pid}`, { hint: "ps -e lists them" });
  }
  if (pid === process.pid) {
    throw new AttachError("TRACING_TARGET", "bpfjit cannot trace itself: every event would make more", {
      errno: "EINVAL",
    });
  }
  let lookAt = 0;
  let over = false;
  return {
    name: `process ${pid}`,
    child: null,
    description: { pid },
    start: () => Promise.resolve(),
    isOver: () => {
      if (over || performance.now() < lookAt) return over;
      lookAt = performance.now() + LOOK_MS;
      const now = processState(pid);
      // the first thread may end before the others, and is a zombie until they have
      over = now === null || now.start !== state.start || (now.isDead && threadsOf(pid).length < 2);
      return over;
    },
  };
}

/** Throws AttachError where there is no such command. `output`: descriptor that takes the place of its standard output. */
export function commandTarget(command: readonly string[], output: number): Target {
  const path = findCommand(command[0] ?? "");
  let child: HeldChild | null = null;
  return {
    name: command.join(" "),
    get child() {
      return child;
    },
    get description() {
      return { pid: child?.pid ?? 0, path, args: command };
    },
    start: async () => {
      child = await startHeld(command, path, output);
    },
    isOver: () => child !== null && child.status !== null,
  };
}

/** Has the instance follow all threads of the target, and takes note of who they are. */
export function followTarget(instance: Instance, { description }: Target, { tasks }: TaskTracking): void {
  const followed = new Set<number>();
  // threads that start meanwhile are in the next list, or are followed because the one that starts them is
  for (;;) {
    const fresh = threadsOf(description.pid).filter((tid) => !followed.has(tid));
    if (fresh.length === 0) break;
    instance.follow(fresh);
    for (const tid of fresh) followed.add(tid);
  }
  for (const tid of followed) {
    const task = readTask(tid);
    if (task !== null) tasks.define(task);
  }
  if (followed.size > 0) return;
  throw new AttachError("TRACING_TARGET", `process ${description.pid} has ended`);
}
