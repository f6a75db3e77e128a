/**
 * The task_struct of each thread that events tell of: filled from the event's TASK block, and from what the machine knows of the
 * thread where its source says how to ask.
 */
import { COMM_BYTES, TASK } from "../../spec/index.ts";
import { type TaskDetails, type TaskInfo, writeTask } from "../task.ts";
import type { Instance, Instances } from "./instances.ts";
import { fillDetails, userNamespace } from "./task-details.ts";

/** Threads whose details are kept. */
const MOST_TOLD = 4096;

export class TaskObjects {
  readonly #space: Instances;
  /** by thread id; in the order in which they were told */
  readonly #told = new Map<number, TaskDetails>();
  /**
   * What is known of a thread beside its TASK block: asked when a program first looks at its task_struct or at a child's, and
   * again when the block changed. Null: nobody knows. A source may set it while it is open.
   */
  describe: ((tid: number) => TaskInfo | null) | null = null;

  constructor(space: Instances) {
    this.#space = space;
  }

  /** What a TASK block has no room for, of the thread of that number. What was told of it before is forgotten. */
  tell(tid: number, details: TaskDetails): void {
    this.#told.delete(tid);
    if (this.#told.size >= MOST_TOLD) this.#told.delete(this.#told.keys().next().value!);
    this.#told.set(tid, details);
    const known = this.#space.peek(TASK_STRUCT, tid);
    if (known !== null) known.source = null;
  }

  /** Address of a task's instance, 0 where it has none yet. */
  known(task: number): number {
    return this.#space.known(TASK_STRUCT, this.#identityOf(task));
  }

  /** Whether of() would change nothing. */
  isFilledFrom(task: number): boolean {
    const known = this.#space.peek(TASK_STRUCT, this.#identityOf(task));
    return known !== null && isFilled(known, this.#space.memory.u32, task >>> 2);
  }

  /**
   * Address of the task_struct of a TASK block, with what the block tells: one a thread. 0 where the programs brought no layout
   * of it. Parents and credentials are instances too; a parent that nobody described has only its number.
   */
  of(task: number): number {
    const given = this.#space.memory.view.getUint32(task + TASK.taskStruct, true);
    return given === 0 ? this.#filled(task, null) : given;
  }

  #filled(task: number, details: TaskDetails | null): number {
    const space = this.#space;
    const { u32 } = space.memory;
    const known = space.find(TASK_STRUCT, this.#identityOf(task));
    if (known === null) return 0;
    if (!isFilled(known, u32, task >>> 2)) {
      known.source = u32.slice(task >>> 2, (task + TASK.bytes) >>> 2);
      this.#fill(known.address, task, details ?? this.#detailsOf(task));
    }
    return known.address;
  }

  #detailsOf(task: number): TaskDetails {
    const pid = this.#space.memory.view.getUint32(task + TASK.pid, true);
    return (pid === 0 ? null : (this.#told.get(pid) ?? this.describe?.(pid))) ?? NO_DETAILS;
  }

  /** Threads have a number each; the idle ones of all CPUs have 0, and are told apart by where their blocks lie. */
  #identityOf(task: number): number {
    return this.#space.memory.view.getUint32(task + TASK.pid, true) || -task;
  }

  #fill(address: number, task: number, details: TaskDetails): void {
    const space = this.#space;
    const { view } = space.memory;
    const pid = view.getUint32(task + TASK.pid, true);
    const tgid = view.getUint32(task + TASK.tgid, true);
    const ppid = view.getUint32(task + TASK.ppid, true);
    const uid = view.getUint32(task + TASK.uid, true);
    const gid = view.getUint32(task + TASK.gid, true);
    const startTime = view.getBigUint64(task + TASK.startTimeNs, true);
    // instances first: making one may grow the memory and move the views
    const leader = tgid === pid ? address : this.#numbered(tgid);
    const parent = ppid === 0 ? 0 : this.#numbered(ppid);
    const credentials = this.#credentials(uid, gid, details);
    fillDetails(space, address, details);
    space.setNumber(address, TASK_STRUCT, "pid", pid);
    space.setNumber(address, TASK_STRUCT, "tgid", tgid);
    space.setBytes(address, TASK_STRUCT, "comm", task + TASK.comm, COMM_BYTES);
    space.setPointer(address, TASK_STRUCT, "group_leader", leader);
    for (const path of ["real_parent", "parent"]) space.setPointer(address, TASK_STRUCT, path, parent);
    for (const path of ["real_cred", "cred"]) space.setPointer(address, TASK_STRUCT, path, credentials);
    space.setNumber(address, TASK_STRUCT, "start_time", startTime);
    const { startBootTimeNs = startTime } = details;
    for (const path of BOOT_TIMES) space.setNumber(address, TASK_STRUCT, path, startBootTimeNs);
  }

  /** A task of which the event tells only the number: as it was when it ran, or as it is described. */
  #numbered(pid: number): number {
    const space = this.#space;
    const known = space.find(TASK_STRUCT, pid);
    if (known === null) return 0;
    if (known.source === null) {
      const described = this.describe?.(pid) ?? null;
      if (described !== null) return this.#described(described);
    }
    space.setNumber(known.address, TASK_STRUCT, "pid", pid);
    space.setNumber(known.address, TASK_STRUCT, "tgid", pid);
    return known.address;
  }

  /** As of(), of a task that is known without an event; `describe` answers for its parents. */
  described(task: TaskInfo, describe: (tid: number) => TaskInfo | null): number {
    const outer = this.describe;
    this.describe = describe;
    try {
      this.tell(task.pid, task);
      return this.#described(task);
    } finally {
      this.describe = outer;
    }
  }

  #described(task: TaskInfo): number {
    const { memory } = this.#space;
    const block = memory.allocate(TASK.bytes);
    try {
      writeTask(memory.view, block, task);
      return this.#filled(block, task);
    } finally {
      memory.free(block);
    }
  }

  #credentials(uid: number, gid: number, details: TaskDetails): number {
    const space = this.#space;
    const { euid = uid, egid = gid } = details;
    const user = userNamespace(space, details);
    const address = space.instance("cred", `${uid}:${gid}:${euid}:${egid}:${user}`);
    if (address === 0) return 0;
    space.setNumber(address, "cred", "uid.val", uid);
    space.setNumber(address, "cred", "gid.val", gid);
    // saved and file system ones follow the effective ones unless a program sets them apart
    for (const path of ["suid.val", "euid.val", "fsuid.val"]) space.setNumber(address, "cred", path, euid);
    for (const path of ["sgid.val", "egid.val", "fsgid.val"]) space.setNumber(address, "cred", path, egid);
    space.setPointer(address, "cred", "user_ns", user);
    return address;
  }
}

/** Whether the instance was filled from what the TASK block at word `at` holds. Asked once an event: it allocates nothing. */
function isFilled({ source }: Instance, words: Uint32Array, at: number): boolean {
  if (source === null) return false;
  for (let index = 0; index < source.length; index++) if (words[at + index] !== source[index]) return false;
  return true;
}

const TASK_STRUCT = "task_struct";
/** the second is what it was called before Linux 5.5 */
const BOOT_TIMES = ["start_boottime", "real_start_time"] as const;
const NO_DETAILS: TaskDetails = {};
