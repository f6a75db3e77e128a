/** Who the threads of events are, as far as records told it so far, and what is done where none did. */
import { COMM_BYTES, TASK } from "../../../spec/index.ts";
import type { TaskInfo } from "../../task.ts";
import type { ArenaMemory } from "../memory.ts";
import { type ProcTask, readTask } from "../proc.ts";
import type { TaskTable } from "../tasks.ts";

export interface TaskTracking {
  readonly memory: ArenaMemory;
  readonly tasks: TaskTable;
  /** threads of which nothing is heard when they change or end, and those that have ended */
  readonly passing: Set<number>;
  /** by process: the traced threads whose parent it is */
  readonly children: Map<number, Set<number>>;
  /** records tell of new users and groups */
  readonly followsOwners: boolean;
}

export const makeTracking = (memory: ArenaMemory, tasks: TaskTable, followsOwners: boolean): TaskTracking => ({
  memory,
  tasks,
  passing: new Set(),
  children: new Map(),
  followsOwners,
});

/** Forgets the threads whose numbers may be others' by now. */
export function forgetPassing({ tasks, passing }: TaskTracking): void {
  for (const tid of passing) tasks.forget(tid);
  passing.clear();
}

/** The block of a thread that caused a record. */
export function taskOf({ tasks, passing }: TaskTracking, tid: number, cpu: number): number {
  if (tid === 0) return tasks.idle[cpu]!;
  const known = tasks.known(tid);
  if (known !== 0) return known;
  passing.add(tid);
  const found = readTask(tid);
  return found === null ? tasks.get(tid, tid) : tasks.define(found);
}

/** The thread has this parent from now on. */
export function adopt({ tasks, children }: TaskTracking, tid: number, ppid: number): void {
  tasks.update(tid, { ppid });
  const siblings = children.get(ppid);
  if (siblings === undefined) children.set(ppid, new Set([tid]));
  else siblings.add(tid);
}

/**
 * A thread as a kernel object shows it. What records told is as it was at the event; the rest is what /proc says, or, where the
 * thread has ended, what it had in common with its parent when it began.
 */
export function describeThread({ memory, tasks }: TaskTracking, tid: number): TaskInfo | null {
  const now = readTask(tid);
  const block = tasks.known(tid);
  if (block === 0) return now;
  const { view } = memory.world;
  const ppid = view.getUint32(block + TASK.ppid, true);
  const cgroupId = view.getBigUint64(block + TASK.cgroupId, true);
  const comm = memory.octets.slice(block + TASK.comm, block + TASK.comm + COMM_BYTES);
  return {
    ...(now ?? inherited(ppid === 0 ? null : readTask(ppid), cgroupId)),
    pid: tid,
    tgid: view.getUint32(block + TASK.tgid, true),
    ppid,
    uid: view.getUint32(block + TASK.uid, true),
    gid: view.getUint32(block + TASK.gid, true),
    comm: DECODER.decode(comm.subarray(0, comm.indexOf(0))),
    startTimeNs: view.getBigUint64(block + TASK.startTimeNs, true),
    cgroupId,
  };
}
const DECODER = new TextDecoder();

function inherited(parent: ProcTask | null, cgroupId: bigint): Partial<TaskInfo> {
  if (parent === null) return {};
  const { namespaces, cgroupPath } = parent;
  const isThere = cgroupPath !== undefined && parent.cgroupId === cgroupId;
  return { ...(namespaces !== undefined && { namespaces }), ...(isThere && { cgroupPath }) };
}
