/** `bpfjit run OBJ --input CAPTURE`: an object's programs over a capture; records as they come, maps at the end. */
import { fileInput, load, type MapRecord, openPerfData, streamInput } from "../../api/index.ts";
import { BpfError } from "../../base/index.ts";
import { type CacheArguments, cacheOf } from "../cache.ts";
import { type EditArguments, editOf } from "../edits.ts";
import { EXIT } from "../exit.ts";
import { parseCount, readInputFile } from "../input.ts";
import { startMeasuring } from "../measuring.ts";
import { type CommonOptions, requireOption } from "../options.ts";
import { describeError, note } from "../output.ts";
import { profileOf } from "../profile.ts";
import type { ProfileArguments } from "../profile-options.ts";
import { openProgress } from "../progress.ts";
import {
  parseRecordTypes,
  printLoss,
  printMaps,
  printRecord,
  printSummary,
  printTrace,
  type ReportArguments,
  warnUnattached,
} from "../report.ts";
import { outputOpener } from "../sink.ts";
import { type StrictArguments, strictOf } from "../strict.ts";
import { readTargetFor, type TargetArguments } from "../target.ts";

interface RunOptions
  extends CommonOptions,
    TargetArguments,
    ReportArguments,
    CacheArguments,
    ProfileArguments,
    EditArguments,
    StrictArguments {
  readonly input?: string;
  readonly prog?: readonly string[];
  readonly opt?: string;
  readonly workers: string;
  readonly concurrent?: boolean;
}

export async function run(path: string, options: RunOptions): Promise<void> {
  const capture = requireOption(options.input, "--input CAPTURE", "perf record -R writes one; - reads perf's pipe");
  const types = parseRecordTypes(options.type ?? []);
  const optimize = options.opt === undefined ? "tiered" : (parseCount(options.opt, "--opt", 0, 3) as 0 | 1 | 2 | 3);
  const openOutput = outputOpener(options);
  const profile = profileOf(options);
  const input = capture === "-" ? streamInput(process.stdin, "standard input") : fileInput(capture);
  const source = await openPerfData(input);
  const bytes = readInputFile(path);
  const object = await load(bytes, {
    name: path,
    optimize,
    runtimeOptions: {
      ...strictOf(options),
      cpus: source.cpus,
      workers: parseCount(options.workers, "--workers", 0, 256),
      onWorkerLoss: ({ worker }) => note(`worker ${worker} died: another has taken its place`),
      trace: (line) => printTrace(line, options),
    },
    ...(options.prog && { programs: options.prog }),
    ...cacheOf(options),
    ...editOf(options),
    ...profile,
    ...readTargetFor(bytes, options),
  });
  const stop = new AbortController();
  // Stays in place while it runs: the spinner's own handler ends the process where it finds no other. A second Ctrl-C ends it at once.
  const onInterrupt = (): void => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    stop.abort();
  };
  process.on("SIGINT", onInterrupt);
  const progress = await openProgress(!options.quiet && !options.json);
  try {
    for (const name of options.map ?? []) object.map(name);
    let printed = 0;
    const output = openOutput?.() ?? null;
    const measuring = await startMeasuring(object, path, options);
    const summary = await object.run(source, {
      types,
      signal: stop.signal,
      concurrent: options.concurrent === true,
      // what goes to a file is not printed
      ...(output !== null
        ? { output }
        : {
            onRecord: (record: MapRecord) => {
              printed++;
              progress.above(() => printRecord(record, options));
            },
          }),
      onLost: (map, count) => progress.above(() => printLoss(map, count, options)),
      onProgress: ({ events, done, total }) =>
        progress.show({ events, records: output?.records ?? printed, done, total }),
    });
    progress.stop();
    const reportMeasured = await measuring.stop();
    printMaps(object, options, summary.records);
    reportMeasured();
    printSummary(summary, options);
    for (const hook of summary.missing) warnMissing(hook, options);
    warnUnattached(object, "a capture", options);
    if (summary.truncated !== null) process.stderr.write(`${describeError(summary.truncated)}\n`);
    process.exitCode = summary.aborted ? EXIT.interrupted : summary.truncated !== null ? EXIT.usage : EXIT.done;
  } finally {
    progress.stop();
    process.removeListener("SIGINT", onInterrupt);
    object.close();
  }
}

function warnMissing(hook: { readonly kind: string; readonly name: string }, options: RunOptions): void {
  if (options.quiet) return;
  const error = new BpfError(
    "CAPTURE_EVENT_MISSING",
    `${options.input} has no event ${hook.name}: its program did not run`,
    {
      hint: `record it: perf record -e ${hook.name.replace("/", ":")} …`,
    },
  );
  process.stderr.write(`${describeError(error)}\n`);
}
