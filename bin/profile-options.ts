/** Options that say how the time of programs is measured, for the commands that run them. What they do is in profile.ts and stats.ts. */
import { type Command, Option } from "commander";

export interface ProfileArguments {
  readonly profile?: boolean;
  readonly profileTo?: string;
  readonly profileInterval?: string;
  readonly stats?: boolean;
}

const FILE_OPTION = "--profile-to";

export const withProfile = (command: Command): Command =>
  command
    .option(
      "--profile",
      "sample what programs spend their time on; --profile=FILE writes it too, as .folded or .cpuprofile",
    )
    .addOption(new Option(`${FILE_OPTION} <file>`).hideHelp())
    .option("--profile-interval <us>", "mean time between two samples, µs (default: 1000)")
    .option("--stats", "count and time runs as the kernel does with bpf_stats, print them at the end");

/** The command line as commander takes it: an optional value would also be taken from the argument that follows. */
export const splitProfileOption = (argv: readonly string[]): string[] =>
  argv.flatMap((argument, index) => {
    // behind -- is a command of its own
    if (argv.indexOf("--") >= 0 && argv.indexOf("--") < index) return [argument];
    const [name, ...file] = argument.split("=");
    return name === "--profile" && file.length > 0 ? [name, FILE_OPTION, file.join("=")] : [argument];
  });
