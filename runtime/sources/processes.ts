/** The threads that run now on this machine, from /proc: what iterators of tasks walk. Linux only; elsewhere there are none. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type ProcTask, readTask } from "./proc.ts";

/** By process, threads behind their leader. One that ends meanwhile is left out. */
export function readTasks(root = "/proc"): readonly ProcTask[] {
  return numbersIn(root)
    .flatMap((process) => threadsOf(process, root))
    .flatMap((thread) => readTask(thread, root) ?? []);
}

/** Numbers of a process's threads; none: there is no such process. */
export const threadsOf = (process: number, root = "/proc"): readonly number[] =>
  numbersIn(join(root, String(process), "task"));

function numbersIn(folder: string): readonly number[] {
  try {
    return readdirSync(folder)
      .filter((name) => /^[0-9]+$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  } catch {
    return [];
  }
}
