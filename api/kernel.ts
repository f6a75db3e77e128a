/** Kernel objects by the target's BTF, for tests and sources: `kernel.task_struct({ pid: 42, comm: "sh" })`. */
import { UsageError } from "../base/index.ts";
import { type Btf, kernelLayoutsOf } from "../compiler/front.ts";
import {
  type KernelObject,
  KernelObjects,
  type KernelTypes,
  type KernelValue,
  type Runtime,
  readTask,
} from "../runtime/index.ts";
import type { CType } from "../spec/index.ts";

type Values = { readonly [member: string]: KernelValue | undefined };

interface KernelStructs {
  readonly [struct: string]: (values?: Values) => KernelObject;
}

interface RunningTasks {
  /**
   * The task_struct of a thread that runs now, by its number: what /proc tells of it, of its parents, namespaces and cgroup. It
   * is the object that programs see of this thread, so it changes with it. Throws UsageError (ESRCH) where there is none.
   */
  readonly taskFromProc: (tid: number) => KernelObject;
  /** That of this process. */
  readonly currentTask: () => KernelObject;
}

/**
 * A function for every struct of the target, by its name: makes an instance of it in the runtime's memory with the members
 * that are given, the rest zeros. Throws UsageError for a struct that the target does not have.
 */
export type Kernel = KernelStructs & RunningTasks;

/** Objects live until they are freed or the runtime is closed. */
export function kernelObjects(runtime: Runtime, target: { readonly targetBtf: Btf }): Kernel {
  const { targetBtf } = target;
  const objects = new KernelObjects(runtime.world, typesOf(targetBtf));
  /** the runtime has the target's; they are looked up for the first task only */
  let hasLayouts = false;
  const taskFromProc = (tid?: number): KernelObject => {
    const { world } = runtime;
    const task = readTask(tid);
    if (task === null) throw new UsageError("USAGE", `there is no task ${tid}`, { errno: "ESRCH" });
    if (!hasLayouts) world.kernel.use(kernelLayoutsOf(targetBtf));
    hasLayouts = true;
    return objects.at("task_struct", world.kernel.tasks.described(task, readTask));
  };
  const tasks: RunningTasks = { taskFromProc, currentTask: () => taskFromProc() };
  return new Proxy(tasks as Kernel, {
    get: (_, name) => {
      if (typeof name !== "string") return undefined;
      return Object.hasOwn(tasks, name)
        ? tasks[name as keyof RunningTasks]
        : (values?: Values) => objects.make(name, values);
    },
  });
}

/** Types by the names that BTF gives them: `task_struct`, `struct task_struct`, `pid_t`, `char *`. */
const typesOf =
  (btf: Btf): KernelTypes =>
  (name) =>
    typeNamed(btf, name);

function typeNamed(btf: Btf, name: string): CType | null {
  const pointer = /^(.*?) ?\*$/.exec(name);
  if (pointer !== null) return { kind: "pointer", name, size: 8, target: pointer[1]! };
  const [, keyword, bare] = /^(?:(struct|union|enum) )?(.*)$/.exec(name)!;
  const kinds = keyword === undefined ? KINDS : [keyword as (typeof KINDS)[number]];
  for (const kind of kinds) {
    const id = btf.findByName(bare!, kind);
    if (id !== null) return btf.ctype(id);
  }
  return null;
}

const KINDS = ["struct", "union", "typedef", "int", "enum"] as const;
