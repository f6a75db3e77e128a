/** The current task of an event as a block in the arena (TASK in spec/abi.ts). */
import { COMM_BYTES, type NamespaceName, TASK } from "../spec/index.ts";

/** What only the task's kernel object shows (runtime/kernel/task-details.ts). */
export interface TaskDetails {
  /** numbers of its namespaces, as in /proc/PID/ns; `pid` is that of its children */
  readonly namespaces?: Readonly<Partial<Record<NamespaceName, number>>>;
  /** its own number in each PID namespace that it is in, the outermost first */
  readonly pids?: readonly number[];
  /** in the unified hierarchy, `/user.slice` */
  readonly cgroupPath?: string;
  /** of that cgroup; for TaskInfo also what programs are told as the task's own */
  readonly cgroupId?: bigint;
  /** when it started, on the clock that goes on while the machine sleeps; default: as `startTimeNs` */
  readonly startBootTimeNs?: bigint;
  /** PF_* */
  readonly flags?: number;
  /** effective user and group, where they differ from the real ones */
  readonly euid?: number;
  readonly egid?: number;
}

export interface TaskInfo extends TaskDetails {
  readonly pid: number;
  /** `pid` where not given */
  readonly tgid?: number;
  readonly ppid?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** cut to 15 bytes */
  readonly comm?: string;
  /** 64-bit pointer to a task_struct instance, 0: none */
  readonly taskStruct?: bigint;
  readonly startTimeNs?: bigint;
}

/** Whether more than the block is known. */
export const hasDetails = ({ namespaces, pids, cgroupPath }: TaskDetails): boolean =>
  namespaces !== undefined || pids !== undefined || cgroupPath !== undefined;

/** What runs where nothing else does. */
export const IDLE_TASK: TaskInfo = { pid: 0, comm: "swapper/0" };

const ENCODER = new TextEncoder();

/** Writes the whole block; comm is followed by zeros, which bpf_get_current_comm relies on. */
export function writeTask(view: DataView, address: number, task: TaskInfo): void {
  view.setUint32(address + TASK.pid, task.pid, true);
  view.setUint32(address + TASK.tgid, task.tgid ?? task.pid, true);
  view.setUint32(address + TASK.uid, task.uid ?? 0, true);
  view.setUint32(address + TASK.gid, task.gid ?? 0, true);
  view.setBigUint64(address + TASK.taskStruct, task.taskStruct ?? 0n, true);
  view.setBigUint64(address + TASK.startTimeNs, task.startTimeNs ?? 0n, true);
  view.setBigUint64(address + TASK.cgroupId, task.cgroupId ?? 0n, true);
  view.setUint32(address + TASK.ppid, task.ppid ?? 0, true);
  const comm = new Uint8Array(COMM_BYTES);
  comm.set(ENCODER.encode(task.comm ?? "").subarray(0, COMM_BYTES - 1));
  comm.forEach((byte, index) => {
    view.setUint8(address + TASK.comm + index, byte);
  });
}
