/**
 * What the examples must find in a capture, worked out from the text of perf script alone: no decoder, no program and no
 * map of bpfjit takes part.
 */
import type { ScriptLine } from "../sources/perf-script.ts";

/** countcomm: times each command was put on a CPU. */
export function switchesByComm(lines: readonly ScriptLine[]): Map<string, bigint> {
  const counts = new Map<string, bigint>();
  for (const line of only(lines, "sched/sched_switch")) {
    const comm = line.fields.next_comm!;
    counts.set(comm, (counts.get(comm) ?? 0n) + 1n);
  }
  return counts;
}

/** runqlat: counts by power of two of the microseconds that threads waited, and who still waits at the end. */
export function runQueueLatency(lines: readonly ScriptLine[], slots: number) {
  const since = new Map<number, bigint>();
  const counts = new Array<number>(slots).fill(0);
  for (const line of lines) {
    const { fields, timeNs } = line;
    if (line.event === "sched/sched_wakeup" || line.event === "sched/sched_wakeup_new")
      since.set(Number(fields.pid), timeNs);
    if (line.event !== "sched/sched_switch") continue;
    // R: it ran; R+: it was preempted
    if (fields.prev_state!.startsWith("R")) since.set(Number(fields.prev_pid), timeNs);
    since.delete(0);
    const next = Number(fields.next_pid);
    const start = since.get(next);
    if (start === undefined) continue;
    since.delete(next);
    const micros = Number((timeNs - start) / 1000n);
    const slot = micros === 0 ? 0 : Math.min(slots - 1, Math.floor(Math.log2(micros)));
    counts[slot] = counts[slot]! + 1;
  }
  return { counts, waiting: since };
}

export interface ExpectedExec {
  readonly time: bigint;
  readonly duration: bigint;
  readonly kind: "PROCESS_EXEC" | "PROCESS_EXIT";
  readonly pid: number;
  readonly comm: string;
  readonly filename: string;
}

/** execlog: one record an exec and one an exit of a process. */
export function execLog(lines: readonly ScriptLine[]): ExpectedExec[] {
  const started = new Map<number, bigint>();
  const records: ExpectedExec[] = [];
  for (const { event, timeNs: time, pid, tid, fields, comm } of lines) {
    if (event === "sched/sched_process_exec") {
      started.set(pid, time);
      records.push({ time, duration: 0n, kind: "PROCESS_EXEC", pid, comm, filename: fields.filename! });
    }
    if (event === "sched/sched_process_exit" && pid === tid) {
      const start = started.get(pid);
      started.delete(pid);
      const duration = start === undefined ? 0n : time - start;
      records.push({ time, duration, kind: "PROCESS_EXIT", pid, comm: fields.comm!, filename: "" });
    }
  }
  return records;
}

/** opens: one record a call; the name lies in memory that no recording holds. */
export function openCalls(lines: readonly ScriptLine[]) {
  return only(lines, "syscalls/sys_enter_openat").map(({ timeNs, pid, tid, cpu, comm, fields }) => ({
    cpu,
    time: timeNs,
    pid,
    tid,
    dfd: Number(fields.dfd) | 0,
    flags: Number(fields.flags),
    address: BigInt(fields.filename!),
    comm,
  }));
}

const only = (lines: readonly ScriptLine[], event: string): ScriptLine[] =>
  lines.filter((line) => line.event === event);
