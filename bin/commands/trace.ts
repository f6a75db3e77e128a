/** `bpfjit trace OBJ [-p PID | -- CMD…]`: an object's programs on a live process; records as they come, maps at the end. */
import {
  type LiveSource,
  load,
  type MapRecord,
  openLive,
  type RunSummary,
  USER_MEMORY_MODES,
  type UserMemoryMode,
} from "../../api/index.ts";
import { UsageError } from "../../base/index.ts";
import { type CacheArguments, cacheOf } from "../cache.ts";
import { type EditArguments, editOf } from "../edits.ts";
import { EXIT } from "../exit.ts";
import { parseCount, parseSeconds, readInputFile } from "../input.ts";
import { MapScreen } from "../map-screen.ts";
import { startMeasuring } from "../measuring.ts";
import type { CommonOptions } from "../options.ts";
import { profileOf } from "../profile.ts";
import type { ProfileArguments } from "../profile-options.ts";
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
import { isPiped, outputOpener } from "../sink.ts";
import { type StrictArguments, strictOf } from "../strict.ts";
import { readTargetFor, type TargetArguments } from "../target.ts";

interface TraceOptions
  extends CommonOptions,
    TargetArguments,
    ReportArguments,
    CacheArguments,
    ProfileArguments,
    EditArguments,
    StrictArguments {
  readonly pid?: string;
  readonly prog?: readonly string[];
  readonly opt?: string;
  readonly duration?: string;
  readonly maxEvents?: string;
  readonly interval?: string;
  readonly bufferSize?: string;
  readonly userMemory?: string;
}

/** What ends it from outside. A second one ends it at once; what was made in tracefs goes all the same. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const STANDARD_ERROR = 2;
const MOST = Number.MAX_SAFE_INTEGER;

export async function trace(path: string, command: readonly string[], options: TraceOptions): Promise<void> {
  if ((options.pid === undefined) === (command.length === 0)) {
    throw new UsageError("USAGE", "give a process with -p, or a command behind --", {
      hint: "bpfjit trace OBJ -p PID, or bpfjit trace OBJ -- CMD ARGS",
    });
  }
  const types = parseRecordTypes(options.type ?? []);
  const optimize = options.opt === undefined ? "tiered" : (parseCount(options.opt, "--opt", 0, 3) as 0 | 1 | 2 | 3);
  const interval = options.interval === undefined ? null : parseSeconds(options.interval, "--interval");
  const openOutput = outputOpener(options);
  const profile = profileOf(options);
  const source = await openLive({
    ...(options.pid === undefined ? { command } : { pid: parseCount(options.pid, "-p", 1, MOST) }),
    // standard output is for records alone where another program reads it
    ...((options.json || isPiped(options)) && { commandOutput: STANDARD_ERROR }),
    userMemory: parseUserMemory(options.userMemory),
    duration: options.duration === undefined ? undefined : parseSeconds(options.duration, "--duration"),
    maxEvents: options.maxEvents === undefined ? undefined : parseCount(options.maxEvents, "--max-events", 1, MOST),
    bufferKilobytes:
      options.bufferSize === undefined ? undefined : parseCount(options.bufferSize, "--buffer-size", 8, 1 << 22),
  });
  let isInterrupted = false;
  let isRunning = false;
  const onSignal = (): void => {
    if (isInterrupted || !isRunning) process.exit(EXIT.interrupted);
    isInterrupted = true;
    source.stop();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  const bytes = readInputFile(path);
  const object = await load(bytes, {
    name: path,
    optimize,
    runtimeOptions: {
      ...strictOf(options),
      cpus: source.cpus,
      trace: (line) => printTrace(line, options),
    },
    ...(options.prog && { programs: options.prog }),
    ...cacheOf(options),
    ...editOf(options),
    ...profile,
    ...readTargetFor(bytes, options),
  });
  const screen = new MapScreen(object, options, interval);
  try {
    for (const name of options.map ?? []) object.map(name);
    const output = openOutput?.() ?? null;
    const measuring = await startMeasuring(object, path, options);
    isRunning = true;
    const summary = await object.run(source, {
      types,
      // what goes to a file is not printed
      ...(output !== null ? { output } : { onRecord: (record: MapRecord) => printRecord(record, options) }),
      onLost: (map, count) => printLoss(map, count, options),
    });
    screen.close();
    const reportMeasured = await measuring.stop();
    printMaps(object, options, summary.records);
    reportMeasured();
    reportEnd(source, summary, options);
    warnUnattached(object, "a process", options);
    process.exitCode = isInterrupted ? EXIT.interrupted : EXIT.done;
  } finally {
    screen.close();
    for (const signal of SIGNALS) process.removeListener(signal, onSignal);
    object.close();
  }
}

function parseUserMemory(text: string | undefined): UserMemoryMode | undefined {
  const mode = USER_MEMORY_MODES.find((each) => each === text);
  if (mode !== undefined || text === undefined) return mode;
  throw new UsageError("USAGE", `--user-memory is ${USER_MEMORY_MODES.join(", ")}, not ${text}`);
}

function reportEnd(source: LiveSource, summary: RunSummary, options: TraceOptions): void {
  const { status, cpuSeconds } = source;
  const share = cpuSeconds / summary.seconds;
  const command = options.pid === undefined ? { command: status } : {};
  const ending = options.pid === undefined ? `; ${commandText(source)}` : "";
  printSummary(summary, options, {
    fields: { cpuSeconds, cpuShare: share, userReads: source.userReads, ...command },
    text: `; bpfjit used ${cpuSeconds.toFixed(2)} s of a CPU (${(share * 100).toFixed(1)} %)${ending}`,
  });
}

function commandText({ status, hasBegun }: LiveSource): string {
  if (!hasBegun) return "the command was not begun";
  if (status === null) return "the command runs on";
  return status.signal === null ? `the command ended with ${status.exitCode}` : `${status.signal} ended the command`;
}
