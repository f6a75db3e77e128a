/** What is measured of a run where it is asked for, and said at its end: --stats, --strict, --profile. */
import type { LoadedObject } from "../api/index.ts";
import type { CommonOptions } from "./options.ts";
import { note, printLine } from "./output.ts";
import { reportProfile, startProfile } from "./profile.ts";
import type { ProfileArguments } from "./profile-options.ts";
import { isPiped, type SinkArguments } from "./sink.ts";
import { enableStats, reportStats } from "./stats.ts";
import { reportStrict, type StrictArguments } from "./strict.ts";

export interface Measuring {
  /** The run is over. Resolves to what prints the figures, to be called while links are attached still. */
  stop(): Promise<() => void>;
}

export async function startMeasuring(
  object: LoadedObject,
  path: string,
  options: ProfileArguments & StrictArguments & SinkArguments & CommonOptions,
): Promise<Measuring> {
  enableStats(object, options);
  const profiler = await startProfile(object, path, options);
  return {
    stop: async () => {
      const profile = await profiler?.stop();
      // what comes over the pipe is records only
      const print = isPiped(options) ? note : printLine;
      return () => {
        reportStats(object, options, print);
        reportStrict(object, options);
        if (profile !== undefined) reportProfile(profile, options, print);
      };
    },
  };
}
