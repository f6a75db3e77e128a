/** Tasks: objects that a test made, or what a source knows of processes. Kernel: kernel/bpf/task_iter.c. */
import { AttachError } from "../../base/index.ts";
import { KernelObject, pointerTo } from "../kernel/index.ts";
import type { TaskInfo } from "../task.ts";
import { type Walk, type WalkWorld, walkList } from "./walk.ts";

export interface WalkedTask {
  readonly pid: number;
  readonly tgid: number;
  readonly given: KernelObject | TaskInfo;
}

/** Those that are asked for, by ascending number. Throws AttachError where a thread and a process are asked for. */
export function tasksToWalk(
  given: readonly (KernelObject | TaskInfo)[],
  { tid, pid }: { readonly tid?: number | undefined; readonly pid?: number | undefined },
): readonly WalkedTask[] {
  if (tid !== undefined && pid !== undefined) {
    throw new AttachError("ATTACH_FAILED", "an iterator walks one thread, or the threads of one process");
  }
  return given
    .map(numbered)
    .filter((task) => (tid === undefined || task.pid === tid) && (pid === undefined || task.tgid === pid))
    .sort((a, b) => a.pid - b.pid);
}

function numbered(given: KernelObject | TaskInfo): WalkedTask {
  if (!(given instanceof KernelObject)) return { pid: given.pid, tgid: given.tgid ?? given.pid, given };
  const { pid, tgid } = given.view as { readonly pid?: number; readonly tgid?: number };
  return { pid: pid ?? 0, tgid: tgid ?? 0, given };
}

export const walkTasks = (world: WalkWorld, tasks: readonly WalkedTask[]): Walk =>
  walkList(tasks, ({ given }) => [given instanceof KernelObject ? given.pointer : pointerOf(world, given)]);

/** Made when the walk gets there: there may be more tasks than are kept. */
function pointerOf(world: WalkWorld, task: TaskInfo): bigint {
  const block = world.makeTask(task);
  try {
    return pointerTo(world.kernel.taskStruct(block));
  } finally {
    world.arena.free(block);
  }
}
