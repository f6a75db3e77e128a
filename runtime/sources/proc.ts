/**
 * Tasks that run now on this machine, from /proc/PID: what a TASK block holds (TaskInfo), and what only their kernel objects
 * show. Linux only; elsewhere, and for a task that is gone, the answer is null. What /proc hides from this process is left out.
 *
 * - A source that makes TASK blocks itself: `readTask(tid)` when it first meets a thread, `writeTask()` with the result.
 * - Kernel objects: `readonly describeTask = readTask` in an EventSource. Nothing is read before a program looks at a task_struct.
 *   `run(source, { tasks: readTask })` does it for any source.
 * - One task: `hook.fire(args, { task: readTask(pid) })`.
 *
 * About 0.1 ms a task. Source: Documentation/filesystems/proc.rst.
 */
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { NAMESPACES, type NamespaceName } from "../../spec/index.ts";
import { monotonicNs } from "../host.ts";
import type { TaskInfo } from "../task.ts";

export interface ProcTask extends TaskInfo {
  readonly tgid: number;
  readonly ppid: number;
  readonly uid: number;
  readonly gid: number;
  readonly comm: string;
  readonly startTimeNs: bigint;
}

/** Of times in /proc: USER_HZ, which Linux gives as 100 on every architecture. */
const TICK_NS = 10_000_000n;

/** A process, or a thread by its own number; default: this process. */
export function readTask(tid: number = process.pid, root = "/proc"): ProcTask | null {
  const folder = join(root, String(tid));
  const stat = parseStat(read(join(folder, "stat")) ?? "");
  const status = parseStatus(read(join(folder, "status")) ?? "");
  if (stat === null || status === null) return null;
  const startBootTimeNs = stat.startTicks * TICK_NS;
  return {
    pid: tid,
    ...status,
    comm: stat.comm,
    flags: stat.flags,
    startTimeNs: startBootTimeNs - asleepNs(root),
    startBootTimeNs,
    namespaces: readNamespaces(folder),
    ...readCgroup(folder, root),
  };
}

/** Field 2 is in parentheses and may hold any byte, parentheses too. */
function parseStat(text: string): { comm: string; flags: number; startTicks: bigint } | null {
  const [open, close] = [text.indexOf("("), text.lastIndexOf(")")];
  const fields = text.slice(close + 2).split(" ");
  const [flags, startTicks] = [fields[9 - 3], fields[22 - 3]];
  if (open < 0 || close < open || flags === undefined || startTicks === undefined) return null;
  return { comm: text.slice(open + 1, close), flags: Number(flags), startTicks: BigInt(startTicks) };
}

type Status = Pick<ProcTask, "tgid" | "ppid" | "uid" | "gid" | "euid" | "egid" | "pids">;

function parseStatus(text: string): Status | null {
  const numbers = (name: string): number[] =>
    (new RegExp(`^${name}:\t(.*)$`, "m").exec(text)?.[1] ?? "").split(/\s+/).filter(Boolean).map(Number);
  const [tgid] = numbers("Tgid");
  const [ppid] = numbers("PPid");
  const [uid, euid] = numbers("Uid");
  const [gid, egid] = numbers("Gid");
  if (tgid === undefined || ppid === undefined || uid === undefined || gid === undefined) return null;
  return { tgid, ppid, uid, gid, euid: euid ?? uid, egid: egid ?? gid, pids: numbers("NSpid") };
}

function readNamespaces(folder: string): NonNullable<TaskInfo["namespaces"]> {
  const numbers: Partial<Record<NamespaceName, number>> = {};
  for (const { name, file } of NAMESPACES) {
    // a namespace for children has no number before the first of them
    const link = follow(join(folder, "ns", file)) ?? follow(join(folder, "ns", name));
    const number = /\[(\d+)\]$/.exec(link ?? "")?.[1];
    if (number !== undefined) numbers[name] = Number(number);
  }
  return numbers;
}

/** Of the unified hierarchy. A cgroup's id is the inode number of its directory. */
function readCgroup(folder: string, root: string): Pick<TaskInfo, "cgroupPath" | "cgroupId"> {
  const cgroupPath = /^0::(\/.*)$/m.exec(read(join(folder, "cgroup")) ?? "")?.[1];
  if (cgroupPath === undefined) return {};
  const mount = cgroupMount(root);
  const cgroupId = mount === undefined ? null : inodeOf(join(mount, cgroupPath));
  return cgroupId === null ? { cgroupPath } : { cgroupPath, cgroupId };
}

/** By `root`. Kept once it is found: a list of mounts is long where containers run, and this one stays where it is. */
const CGROUP_MOUNTS = new Map<string, string>();

function cgroupMount(root: string): string | undefined {
  const mount = CGROUP_MOUNTS.get(root) ?? /^\S+ (\S+) cgroup2 /m.exec(read(join(root, "mounts")) ?? "")?.[1];
  if (mount !== undefined) CGROUP_MOUNTS.set(root, mount);
  return mount;
}

/** How long the machine slept since it was started, which CLOCK_MONOTONIC leaves out. */
function asleepNs(root: string): bigint {
  const uptime = /^(\d+)\.(\d\d)/.exec(read(join(root, "uptime")) ?? "");
  if (uptime === null) return 0n;
  const slept = BigInt(uptime[1]! + uptime[2]!) * TICK_NS - monotonicNs();
  // the file has hundredths of a second
  return slept > 2n * TICK_NS ? slept : 0n;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function follow(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

function inodeOf(path: string): bigint | null {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return null;
  }
}
