/**
 * Who the traced threads are: what /proc says when the tracing begins, and from then on what the instance's own records say
 * of new threads, names, cgroups and ends. Records name only the thread; everything else that programs ask of it comes from here.
 *
 * A thread that is not traced shows up too (the one that is switched away from, the one that wakes a traced one): what is
 * known of it is what /proc says when its first record is handled, and that is asked anew now and then.
 */
import { TASK } from "../../../spec/index.ts";
import { readTask } from "../proc.ts";
import type { LiveEvent } from "./events.ts";
import { findEvent, findField, noted, requireEvent, requireField } from "./noted.ts";
import { ownerEvents } from "./owner-events.ts";
import type { Tracefs } from "./tracefs.ts";
import { adopt, type TaskTracking } from "./tracking.ts";

/** Kernel: include/uapi/linux/sched.h */
const CLONE_PARENT = 0x8000;
const CLONE_THREAD = 0x10000;
/** Kernel: hierarchy_id of cgrp_dfl_root, the unified hierarchy */
const UNIFIED = 0;
/** Takes over who has no parent any more and no ancestor that asked for it. */
const INIT = 1;

/** Events that tell of tasks. They come behind those that run programs: who runs at them is still as it was before. */
export function taskEvents(tracefs: Tracefs, tracking: TaskTracking): LiveEvent[] {
  return [
    newTask(tracefs, tracking),
    rename(tracefs, tracking),
    execute(tracefs, tracking),
    exit(tracefs, tracking),
    ...moveToCgroup(tracefs, tracking),
    ...(tracking.followsOwners ? ownerEvents(tracefs, tracking) : []),
  ];
}

function newTask(tracefs: Tracefs, tracking: TaskTracking): LiveEvent {
  const { memory, tasks, passing } = tracking;
  const event = requireEvent(tracefs, "task/task_newtask");
  const pid = requireField(event, "pid");
  const flags = requireField(event, "clone_flags");
  return noted(event, (record) => {
    const { words } = memory;
    const tid = words[(record.payload + pid.offsetBytes) >>> 2]!;
    const clone = words[(record.payload + flags.offsetBytes) >>> 2]!;
    passing.delete(tid);
    const parent = record.task >>> 2;
    const isThread = (clone & CLONE_THREAD) !== 0;
    const parentTgid = words[parent + TASK.tgid / 4]!;
    const ppid = (clone & (CLONE_PARENT | CLONE_THREAD)) !== 0 ? words[parent + TASK.ppid / 4]! : parentTgid;
    tasks.fork(isThread ? parentTgid : tid, tid, ppid, record.tid, record.timeLow, record.timeHigh);
    adopt(tracking, tid, ppid);
  });
}

function rename(tracefs: Tracefs, { memory, tasks }: TaskTracking): LiveEvent {
  const event = requireEvent(tracefs, "task/task_rename");
  const comm = requireField(event, "newcomm");
  // kernels since 6.15 rename only the current task and say no pid
  const pid = findField(event, "pid");
  return noted(event, (record) => {
    const { words } = memory;
    const tid = pid === null ? record.tid : words[(record.payload + pid.offsetBytes) >>> 2]!;
    const block = tasks.known(tid);
    const tgid = block === 0 ? tid : words[(block + TASK.tgid) >>> 2]!;
    tasks.rename(tgid, tid, record.payload + comm.offsetBytes, comm.sizeBytes);
  });
}

/**
 * The thread that executes a file takes the number of its process; what had that number has ended. Cgroups that others moved it
 * to, and users where no records tell, are in /proc, if it is there still.
 */
function execute(tracefs: Tracefs, { memory, tasks, passing, children, followsOwners }: TaskTracking): LiveEvent {
  const event = requireEvent(tracefs, "sched/sched_process_exec");
  const oldPid = requireField(event, "old_pid");
  return noted(event, ({ payload, tid }) => {
    const old = memory.words[(payload + oldPid.offsetBytes) >>> 2]!;
    passing.delete(tid);
    if (old !== tid && tasks.known(old) !== 0) {
      const { view } = memory.world;
      const block = tasks.known(old);
      children.get(view.getUint32(block + TASK.ppid, true))?.delete(old);
      tasks.update(tid, { uid: view.getUint32(block + TASK.uid, true), gid: view.getUint32(block + TASK.gid, true) });
      tasks.forget(old);
    }
    const now = readTask(tid);
    if (now === null) return;
    const { uid, gid, cgroupId } = now;
    tasks.update(tid, { ...(!followsOwners && { uid, gid }), ...(cgroupId !== undefined && { cgroupId }) });
  });
}

/** It is switched away from once more, and is a zombie for as long as its parent wants. */
function exit(tracefs: Tracefs, tracking: TaskTracking): LiveEvent {
  const { memory, passing, children } = tracking;
  const event = requireEvent(tracefs, "sched/sched_process_exit");
  // since Linux 6.16; before, the first thread's end stands for that of all
  const isLast = findField(event, "group_dead");
  return noted(event, ({ payload, task, tid }) => {
    passing.add(tid);
    const { octets, words } = memory;
    children.get(words[(task + TASK.ppid) >>> 2]!)?.delete(tid);
    const tgid = words[(task + TASK.tgid) >>> 2]!;
    if (isLast === null ? tid === tgid : octets[payload + isLast.offsetBytes] !== 0) leaveOrphans(tracking, tgid);
  });
}

/** Which ancestor of a process takes its children over is not recorded: /proc of one of them says it, if one is there still. */
function leaveOrphans(tracking: TaskTracking, tgid: number): void {
  const orphans = tracking.children.get(tgid);
  if (orphans === undefined) return;
  tracking.children.delete(tgid);
  const found = [...orphans].map((tid) => readTask(tid)?.ppid);
  const other = found.find((ppid) => ppid !== undefined) ?? INIT;
  for (const [index, tid] of [...orphans].entries()) adopt(tracking, tid, found[index] ?? other);
}

/** Moves that traced threads make; what others move is seen at the next execve. */
function moveToCgroup(tracefs: Tracefs, { memory, tasks }: TaskTracking): LiveEvent[] {
  const event = findEvent(tracefs, "cgroup/cgroup_attach_task");
  if (event === null) return [];
  const root = requireField(event, "dst_root");
  const id = requireField(event, "dst_id");
  const pid = requireField(event, "pid");
  return [
    noted(event, ({ payload }) => {
      const { words } = memory;
      if (words[(payload + root.offsetBytes) >>> 2] !== UNIFIED) return;
      // older kernels say 32 bits of it
      const bytes = Math.min(id.sizeBytes, 8);
      const low = BigInt(words[(payload + id.offsetBytes) >>> 2]! >>> 0);
      const high = bytes < 8 ? 0n : BigInt(words[(payload + id.offsetBytes + 4) >>> 2]! >>> 0);
      tasks.update(words[(payload + pid.offsetBytes) >>> 2]!, { cgroupId: (high << 32n) | low });
    }),
  ];
}
