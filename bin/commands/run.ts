/** `bpfjit run OBJ --input CAPTURE`: an object's programs over a capture; records as they come, maps at the end. */
import {
  fileInput,
  type LoadedObject,
  load,
  type MapRecord,
  openPerfData,
  type RunSummary,
  streamInput,
  type TypedMap,
} from "../../api/index.ts";
import { BpfError, toHex, UsageError } from "../../base/index.ts";
import { type CacheArguments, cacheOf } from "../cache.ts";
import { EXIT } from "../exit.ts";
import { parseCount, readInputFile } from "../input.ts";
import { type CommonOptions, requireOption } from "../options.ts";
import { describeError, note, printJson, printLine } from "../output.ts";
import { Progress } from "../progress.ts";
import { isPiped, outputOpener, type SinkArguments } from "../sink.ts";
import { readTargetFor, type TargetArguments } from "../target.ts";
import { mapText, recordText } from "../text.ts";

interface RunOptions extends CommonOptions, TargetArguments, SinkArguments, CacheArguments {
  readonly input?: string;
  readonly prog?: readonly string[];
  readonly type?: readonly string[];
  readonly map?: readonly string[];
  /** false with --no-maps */
  readonly maps: boolean;
  readonly opt?: string;
  readonly workers: string;
  readonly concurrent?: boolean;
}

export async function run(path: string, options: RunOptions): Promise<void> {
  const capture = requireOption(options.input, "--input CAPTURE", "perf record -R writes one; - reads perf's pipe");
  const types = parseTypes(options.type ?? []);
  const optimize = options.opt === undefined ? "tiered" : (parseCount(options.opt, "--opt", 0, 3) as 0 | 1 | 2 | 3);
  const openOutput = outputOpener(options);
  const input = capture === "-" ? streamInput(process.stdin, "standard input") : fileInput(capture);
  const source = await openPerfData(input);
  const bytes = readInputFile(path);
  const object = await load(bytes, {
    name: path,
    optimize,
    runtimeOptions: {
      cpus: source.cpus,
      workers: parseCount(options.workers, "--workers", 0, 256),
      onWorkerLoss: ({ worker }) => note(`worker ${worker} died: another has taken its place`),
      trace: (line) => {
        if (options.json) printJson({ type: "trace", line });
        else if (isPiped(options)) note(line);
        else printLine(line);
      },
    },
    ...(options.prog && { programs: options.prog }),
    ...cacheOf(options),
    ...readTargetFor(bytes, options),
  });
  const stop = new AbortController();
  // Stays in place while it runs: the spinner's own handler ends the process where it finds no other. A second Ctrl-C ends it at once.
  const onInterrupt = (): void => {
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    stop.abort();
  };
  process.on("SIGINT", onInterrupt);
  const progress = new Progress(!options.quiet && !options.json);
  try {
    for (const name of options.map ?? []) object.map(name);
    let printed = 0;
    const output = openOutput?.() ?? null;
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
      onLost: (map, count) => {
        if (options.json) printJson({ type: "lost", map, count });
        else progress.above(() => (isPiped(options) ? note : printLine)(`lost ${count} records of ${map}`));
      },
      onProgress: ({ events, done, total }) =>
        progress.show({ events, records: output?.records ?? printed, done, total }),
    });
    progress.stop();
    reportEnd(object, summary, options);
    for (const hook of summary.missing) warnMissing(hook, options);
    for (const { name, links, manifest } of Object.values(object.programs))
      if (links.length === 0) warnUnattached(name, manifest.type, options);
    if (summary.truncated !== null) process.stderr.write(`${describeError(summary.truncated)}\n`);
    process.exitCode = summary.aborted ? EXIT.interrupted : summary.truncated !== null ? EXIT.usage : EXIT.done;
  } finally {
    progress.stop();
    process.removeListener("SIGINT", onInterrupt);
    object.close();
  }
}

function parseTypes(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new UsageError("USAGE", `--type takes map=struct, not ${pair}`);
      return [pair.slice(0, at), pair.slice(at + 1).replace(/^struct /, "")];
    }),
  );
}

function printRecord(record: MapRecord, options: RunOptions): void {
  if (!options.json) {
    printLine(recordText(record));
    return;
  }
  const { map, cpu, time, data, fields } = record;
  printJson({ type: "record", map, cpu, time, data: toHex(data), ...(fields !== undefined && { fields }) });
}

function reportEnd(object: LoadedObject, summary: RunSummary, options: RunOptions): void {
  const maps = Object.values(object.maps).filter((map) => isShown(map, options));
  for (const map of maps) {
    if (options.json) printJson({ type: "map", name: map.name, entries: entriesJson(map) });
    else printLine(`\n${map.name} (${map.type}, ${map.size} ${map.size === 1 ? "entry" : "entries"})\n${mapText(map)}`);
  }
  const lost = summary.lost.reduce((sum, { count }) => sum + count, 0n) + summary.lostRecords;
  const { events, seconds, eventsPerSecond, records } = summary;
  if (options.json) printJson({ type: "summary", events, seconds, eventsPerSecond, records, lost });
  else if (!options.quiet) {
    const rate = Math.round(eventsPerSecond).toLocaleString("en");
    note(
      `\n${events.toLocaleString("en")} events in ${seconds.toFixed(3)} s (${rate}/s), ${records} records, ${lost} lost`,
    );
  }
}

/** Maps of data that programs only read and maps of records say nothing at the end. */
function isShown(map: TypedMap, options: RunOptions): boolean {
  if (!options.maps || isPiped(options)) return false;
  if (options.map !== undefined) return options.map.includes(map.name);
  const { spec } = map.raw;
  return (
    !["ringbuf", "perf_event_array", "prog_array"].includes(map.type) &&
    !spec.frozen &&
    (spec.section === null || spec.variables.length > 0)
  );
}

function entriesJson(map: TypedMap): unknown[] {
  const { keyType, valueType } = map.raw.spec;
  const entries = [...map.raw.entries()];
  const typed = keyType === null || valueType === null ? null : [...map.entries()];
  return entries.map(({ key, value }, index) => ({
    key: toHex(key),
    value: value instanceof Uint8Array ? toHex(value) : value.map(toHex),
    ...(typed !== null && { fields: { key: typed[index]![0], value: typed[index]![1] } }),
  }));
}

/** A program whose section names no tracepoint, a packet filter for instance: nothing in a capture runs it. */
function warnUnattached(program: string, type: string, options: RunOptions): void {
  if (options.quiet) return;
  const error = new BpfError("CAPTURE_EVENT_MISSING", `no event of a capture runs program ${program} of type ${type}`, {
    hint: "run it on one input: bpfjit test-run",
  });
  process.stderr.write(`${describeError(error)}\n`);
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
