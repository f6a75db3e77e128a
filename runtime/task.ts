/** The current task of an event as a block in the arena (TASK in spec/abi.ts). */
import { COMM_BYTES, TASK } from "../spec/index.ts";

export interface TaskInfo {
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
  readonly cgroupId?: bigint;
}

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
