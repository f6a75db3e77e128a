/** Live processes: openLive() makes the source, of a process that runs or of a command. */
import { AttachError, UsageError } from "../../../base/index.ts";
import { possibleCpus, removeAbandonedInstances } from "./instance.ts";
import { hasMachinesPids } from "./owner.ts";
import { makeProbing, removeAbandonedProbes, type UserMemoryMode } from "./probes/index.ts";
import type { LiveSettings } from "./settings.ts";
import { LiveSource } from "./source.ts";
import { commandTarget, processTarget } from "./target.ts";
import { openTracefs } from "./tracefs.ts";

export type { ChildStatus } from "./child.ts";
export { functionTargetName, USER_MEMORY_MODES, type UserMemoryMode, type UserReads } from "./probes/index.ts";
export { LiveSource } from "./source.ts";

export interface LiveOptions {
  /** a process that runs, with all its threads and what they start */
  readonly pid?: number | undefined;
  /** a command and its arguments: it begins when everything is attached, and the source ends with it */
  readonly command?: readonly string[] | undefined;
  /** descriptor that takes the place of the command's standard output; default: the same as this process's */
  readonly commandOutput?: number | undefined;
  /** kilobytes of the kernel's ring of each CPU */
  readonly bufferKilobytes?: number | undefined;
  /** seconds after which the source ends; default: with the process */
  readonly duration?: number | undefined;
  /** events after which the source ends */
  readonly maxEvents?: number | undefined;
  /** where programs read the memory of processes from; default "capture" */
  readonly userMemory?: UserMemoryMode | undefined;
}

/** Of all CPUs' rings together by default, in kilobytes; and of one. */
const TOTAL_KILOBYTES = 64 * 1024;
const RING_KILOBYTES = { least: 1024, most: 8192 } as const;

/**
 * Linux only, as root. Removes what sources of processes that are gone left behind. Throws AttachError where the kernel's
 * tracing files cannot be had, or there is no such process or command.
 */
export function openLive(options: LiveOptions): LiveSource {
  const { pid, command, commandOutput = 1, duration, maxEvents, userMemory = "capture" } = options;
  if ((pid === undefined) === (command === undefined)) {
    throw new UsageError("USAGE", "a live source is of a process or of a command");
  }
  const tracefs = openTracefs();
  requireMachinesPids();
  removeAbandonedInstances(tracefs);
  removeAbandonedProbes(tracefs);
  const probing = makeProbing(userMemory);
  const target = pid === undefined ? commandTarget(command!, commandOutput) : processTarget(pid);
  const settings: LiveSettings = {
    tracefs,
    bufferKilobytes: options.bufferKilobytes ?? defaultKilobytes(),
    durationSeconds: duration ?? Number.POSITIVE_INFINITY,
    eventsMax: maxEvents ?? Number.POSITIVE_INFINITY,
    probers: [probing.prober],
    userMemory: probing.userMemory,
    userReads: probing.reads,
  };
  return new LiveSource(settings, target);
}

function requireMachinesPids(): void {
  if (hasMachinesPids()) return;
  throw new AttachError(
    "TRACING_UNAVAILABLE",
    "process numbers are a container's here, and the kernel records its own",
    {
      hint: "run it outside, or in a container that shares the machine's process numbers (--pid=host)",
      errno: "EOPNOTSUPP",
    },
  );
}

/** A second of a busy machine, and no more memory of the kernel than a large machine would miss. */
function defaultKilobytes(): number {
  const { least, most } = RING_KILOBYTES;
  return Math.max(least, Math.min(most, Math.floor(TOTAL_KILOBYTES / possibleCpus())));
}
