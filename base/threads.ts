/** How this package's own threads start. */

/**
 * The built file of a thread, `path` as in dist/ and in the bundles (tools/bundle.ts): `runtime/workers/thread.js`. Tests run
 * the sources, which a plain thread cannot: they take the built file too.
 */
export const threadFile = (path: string): URL =>
  new URL(import.meta.url.endsWith(".ts") ? `../dist/${path}` : `../${path}`, import.meta.url);

/**
 * Options of Node that threads start with: the process's own, without `--input-type` (`node --input-type=module -e …`), which
 * a thread's file is refused with.
 */
export const threadArguments = (): string[] =>
  process.execArgv.filter(
    (argument, index, all) => !argument.startsWith("--input-type") && all[index - 1] !== "--input-type",
  );
