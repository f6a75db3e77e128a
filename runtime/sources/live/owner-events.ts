/**
 * Whose the traced threads are after the system calls that change it. No event of its own tells, so the calls' do: at its entry a
 * call says what is wanted, at its exit whether it was granted. Programs are told the real user and group.
 *
 * Events of system calls slow down those of the whole machine, so these are recorded only for programs that may ask. Kernel:
 * kernel/sys.c.
 */
import { TASK } from "../../../spec/index.ts";
import { readTask } from "../proc.ts";
import type { LiveEvent } from "./events.ts";
import { findEvent, findField, noted } from "./noted.ts";
import type { Tracefs } from "./tracefs.ts";
import type { TaskTracking } from "./tracking.ts";

/** The argument of each that is the real number; -1 leaves it as it is. Those that have one alone set others where rights are missing. */
const CALLS = [
  { name: "setuid", argument: "uid", changes: "uid", isAlone: true },
  { name: "setreuid", argument: "ruid", changes: "uid", isAlone: false },
  { name: "setresuid", argument: "ruid", changes: "uid", isAlone: false },
  { name: "setgid", argument: "gid", changes: "gid", isAlone: true },
  { name: "setregid", argument: "rgid", changes: "gid", isAlone: false },
  { name: "setresgid", argument: "rgid", changes: "gid", isAlone: false },
] as const;
type Call = (typeof CALLS)[number];

const UNCHANGED = 0xffff_ffff;
/** Kernel: PROC_USER_INIT_INO */
const INITIAL_USERS = 4026531837;

/** Calls that this kernel does not record are left out. */
export function ownerEvents(tracefs: Tracefs, tracking: TaskTracking): LiveEvent[] {
  return CALLS.flatMap((call) => {
    const entry = findEvent(tracefs, `syscalls/sys_enter_${call.name}`);
    const exit = findEvent(tracefs, `syscalls/sys_exit_${call.name}`);
    const argument = entry && findField(entry, call.argument);
    const result = exit && findField(exit, "ret");
    if (entry === null || exit === null || argument === null || result === null) return [];
    const { memory, tasks } = tracking;
    /** by thread: what its call under way asks for */
    const wanted = new Map<number, number>();
    return [
      noted(entry, ({ payload, tid }) => {
        wanted.set(tid, memory.words[(payload + argument.offsetBytes) >>> 2]! >>> 0);
      }),
      noted(exit, ({ payload, tid, task }) => {
        const asked = wanted.get(tid);
        wanted.delete(tid);
        if (asked === undefined || memory.words[(payload + result.offsetBytes) >>> 2] !== 0) return;
        const before = memory.words[(task + TASK[call.changes]) >>> 2]! >>> 0;
        tasks.update(tid, { [call.changes]: granted(call, tid, asked, before) });
      }),
    ];
  });
}

/** The real number after a call that succeeded. */
function granted({ isAlone, changes }: Call, tid: number, asked: number, before: number): number {
  if (asked === UNCHANGED || asked === before) return before;
  const now = readTask(tid);
  if (now === null) return asked;
  // in a user namespace of its own the thread names users by other numbers
  if (now.namespaces?.user !== undefined && now.namespaces.user !== INITIAL_USERS) return now[changes];
  return isAlone && now[changes] === before ? before : asked;
}
