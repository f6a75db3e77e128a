/** Makes the source: cleans up after sources of dead processes, and finds the process or prepares the command. */
import { AttachError, UsageError } from "../../../base/index.ts";
import { possibleCpus, removeAbandonedInstances } from "./instance.ts";
import type { LiveOptions } from "./options.ts";
import { hasMachinesPids } from "./owner.ts";
import { makeProbing, removeAbandonedProbes } from "./probes/index.ts";
import type { LiveSettings } from "./settings.ts";
import { LiveSource } from "./source.ts";
import { commandTarget, processTarget } from "./target.ts";
import { openTracefs } from "./tracefs.ts";

/** Of all CPUs' rings together by default, in kilobytes; and of one. */
const TOTAL_KILOBYTES = 64 * 1024;
const RING_KILOBYTES = { least: 1024, most: 8192 } as const;

/** What openLive() does. */
export function openSource(options: LiveOptions): LiveSource {
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
