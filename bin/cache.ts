/** `--cache DIR`: where compiled objects are kept, for the commands that compile to run or to build. */
import { type Command, Option } from "commander";

export interface CacheArguments {
  readonly cache?: string;
}

export const withCache = (command: Command): Command =>
  command.addOption(
    new Option("--cache <dir>", "keep compiled objects there; trusted like code (default: keep none)").env(
      "BPFJIT_CACHE",
    ),
  );

/** As the library takes it. An empty name is none, so that BPFJIT_CACHE= turns it off. */
export const cacheOf = ({ cache }: CacheArguments): CacheArguments =>
  cache === undefined || cache === "" ? {} : { cache };
