/**
 * Who the traced threads are: what /proc says when the tracing begins, and from then on what the instance's own records say
 * of new threads, names and ends. Records name only the thread; everything else that programs ask of it comes from here.
 *
 * A thread that is not traced shows up too (the one that is switched away from, the one that wakes a traced one): what is
 * known of it is what /proc says when its first record is handled, and that is asked anew now and then.
 */
import { AttachError } from "../../../base/index.ts";
import { COMM_BYTES, TASK } from "../../../spec/index.ts";
import type { FormatField, TracepointFormat } from "../format.ts";
import type { ArenaMemory } from "../memory.ts";
import { readTask } from "../proc.ts";
import type { TaskTable } from "../tasks.ts";
import type { LiveEvent, LiveRecord } from "./events.ts";
import type { Tracefs } from "./tracefs.ts";

/** Kernel: include/uapi/linux/sched.h */
const CLONE_PARENT = 0x8000;
const CLONE_THREAD = 0x10000;

export interface TaskTracking {
  readonly memory: ArenaMemory;
  readonly tasks: TaskTable;
  /** threads of which nothing is heard when they change or end, and those that have ended */
  readonly passing: Set<number>;
}

/** Forgets the threads whose numbers may be others' by now. */
export function forgetPassing({ tasks, passing }: TaskTracking): void {
  for (const tid of passing) tasks.forget(tid);
  passing.clear();
}

/** Events that tell of tasks. They come behind those that run programs: who runs at them is still as it was before. */
export function taskEvents(tracefs: Tracefs, tracking: TaskTracking): LiveEvent[] {
  return [newTask, rename, execute, exit].map((make) => make(tracefs, tracking));
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

function newTask(tracefs: Tracefs, { memory, tasks, passing }: TaskTracking): LiveEvent {
  const { format, name } = eventOf(tracefs, "task/task_newtask");
  const pid = fieldOf(format, "pid");
  const flags = fieldOf(format, "clone_flags");
  return noted(name, format, (record) => {
    const { words } = memory;
    const tid = words[(record.payload + pid.offsetBytes) >>> 2]!;
    const clone = words[(record.payload + flags.offsetBytes) >>> 2]!;
    passing.delete(tid);
    const parent = record.task >>> 2;
    const isThread = (clone & CLONE_THREAD) !== 0;
    const parentTgid = words[parent + TASK.tgid / 4]!;
    const ppid = (clone & (CLONE_PARENT | CLONE_THREAD)) !== 0 ? words[parent + TASK.ppid / 4]! : parentTgid;
    tasks.fork(isThread ? parentTgid : tid, tid, ppid, record.tid, record.timeLow, record.timeHigh);
  });
}

function rename(tracefs: Tracefs, { memory, tasks }: TaskTracking): LiveEvent {
  const { format, name } = eventOf(tracefs, "task/task_rename");
  const comm = fieldOf(format, "newcomm");
  // kernels since 6.15 rename only the current task and say no pid
  const pid = format.fields.find((field) => field.name === "pid");
  return noted(name, format, (record) => {
    const { words } = memory;
    const tid = pid === undefined ? record.tid : words[(record.payload + pid.offsetBytes) >>> 2]!;
    const block = tasks.known(tid);
    const tgid = block === 0 ? tid : words[(block + TASK.tgid) >>> 2]!;
    tasks.rename(tgid, tid, record.payload + comm.offsetBytes, comm.sizeBytes);
  });
}

/** An execve takes the number of the process and may change whose it is, which no record says: /proc does, if it is there still. */
function execute(tracefs: Tracefs, { memory, tasks }: TaskTracking): LiveEvent {
  const { format, name } = eventOf(tracefs, "sched/sched_process_exec");
  const oldPid = fieldOf(format, "old_pid");
  return noted(name, format, (record) => {
    const old = memory.words[(record.payload + oldPid.offsetBytes) >>> 2]!;
    if (old !== record.tid) tasks.forget(old);
    const now = readTask(record.tid);
    if (now === null) return;
    const startTimeNs = memory.world.view.getBigUint64(record.task + TASK.startTimeNs, true);
    const block = tasks.define({ ...now, startTimeNs });
    // its name comes in order of time, from the records
    const comm = record.task + TASK.comm;
    memory.octets.copyWithin(block + TASK.comm, comm, comm + COMM_BYTES);
  });
}

/** It is switched away from once more, and is a zombie for as long as its parent wants. */
function exit(tracefs: Tracefs, { passing }: TaskTracking): LiveEvent {
  const { format, name } = eventOf(tracefs, "sched/sched_process_exit");
  return noted(name, format, ({ tid }) => passing.add(tid));
}

const noted = (name: string, format: TracepointFormat, take: (record: LiveRecord) => void): LiveEvent => ({
  name,
  format,
  fires: 0,
  emit: (record) => {
    take(record);
    return true;
  },
});

function eventOf(tracefs: Tracefs, name: string): { readonly name: string; readonly format: TracepointFormat } {
  const format = tracefs.format(name);
  if (format !== null) return { name, format };
  throw new AttachError("ATTACH_TARGET", `this kernel has no event ${name}, which tells who the traced threads are`, {
    hint: "it needs a kernel with CONFIG_FTRACE and CONFIG_ENABLE_DEFAULT_TRACERS or another tracer",
  });
}

function fieldOf(format: TracepointFormat, name: string): FormatField {
  const field = format.fields.find((each) => each.name === name);
  if (field !== undefined && field.offsetBytes % 4 === 0) return field;
  throw new AttachError("ATTACH_TARGET", `the event ${format.system}/${format.name} of this kernel has no ${name}`);
}
