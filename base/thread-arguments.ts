/**
 * Options of Node that threads start with: the process's own, without `--input-type` (`node --input-type=module -e …`), which
 * a thread's file is refused with.
 */
export const threadArguments = (): string[] =>
  process.execArgv.filter(
    (argument, index, all) => !argument.startsWith("--input-type") && all[index - 1] !== "--input-type",
  );
