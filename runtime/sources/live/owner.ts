/**
 * Whose is it? Everything that a live source makes outside its process (instances, groups of probe events, files that say
 * what to put back) is named after its owner: a process, told from later ones with its number by its start time, in its
 * namespace of numbers. What a dead owner left may be removed by anybody; what lives is never touched.
 */
import { readFileSync, readlinkSync } from "node:fs";

const PREFIX = "bpfjit";
const NAME = /^bpfjit_(\d+)_(\d+)_(\d+)_(\d+)$/;

let sequence = 0;

/** A name that no other source has, in this process or another: a C identifier, as groups of probe events must be. */
export function makeOwnerName(): string {
  const { start } = processState(process.pid) ?? { start: "0" };
  return [PREFIX, process.pid, start, namespaceOfPids(), ++sequence].join("_");
}

/**
 * Whether `name` is of a source whose process is gone. False for what is not named so, and for owners in another namespace of
 * process numbers, of whom nothing can be known.
 */
export function isAbandoned(name: string): boolean {
  const [, pid, start, namespace] = NAME.exec(name) ?? [];
  if (pid === undefined || namespace !== namespaceOfPids()) return false;
  const state = processState(Number(pid));
  return state === null || state.start !== start || state.isDead;
}

interface ProcessState {
  /** clock ticks since boot */
  readonly start: string;
  /** it has ended and waits to be collected */
  readonly isDead: boolean;
}

/** Null: there is no such process. The name in parentheses may hold anything, blanks and parentheses included. */
export function processState(pid: number): ProcessState | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null;
  }
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { start: fields[START_TIME] ?? "0", isDead: fields[0] === "Z" || fields[0] === "X" };
}
/** Fields behind the name: state is the first of them, starttime the 20th. */
const START_TIME = 19;

/** Whether process numbers here are those that the kernel records, which a container's are not. Where /proc does not say: yes. */
export const hasMachinesPids = (): boolean => ["0", INITIAL_NAMESPACE].includes(namespaceOfPids());
/** Kernel: PROC_PID_INIT_INO */
const INITIAL_NAMESPACE = "4026531836";

/** Number of the namespace, "0" where it is not known. */
function namespaceOfPids(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0";
  } catch {
    return "0";
  }
}
