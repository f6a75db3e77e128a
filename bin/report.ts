/** What `run` and `trace` tell of a run: records and losses as they come, maps and a summary at the end. */
import type { LinkedProgram, LoadedObject, MapRecord, RunSummary, TypedMap } from "../api/index.ts";
import { BpfError, toHex, UsageError } from "../base/index.ts";
import { type HookKind, hookOfProgram } from "../spec/index.ts";
import { describeError, note, printJson, printLine } from "./output.ts";
import { isPiped, type SinkArguments } from "./sink.ts";
import { mapText, recordText } from "./text.ts";

export interface ReportArguments extends SinkArguments {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly type?: readonly string[];
  readonly map?: readonly string[];
  /** false with --no-maps */
  readonly maps: boolean;
}

/** Of --type: struct by map. */
export function parseRecordTypes(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new UsageError("USAGE", `--type takes map=struct, not ${pair}`);
      return [pair.slice(0, at), pair.slice(at + 1).replace(/^struct /, "")];
    }),
  );
}

export function printRecord(record: MapRecord, options: ReportArguments): void {
  if (!options.json) {
    printLine(recordText(record));
    return;
  }
  const { map, cpu, time, data, fields } = record;
  printJson({ type: "record", map, cpu, time, data: toHex(data), ...(fields !== undefined && { fields }) });
}

export function printLoss(map: string, count: bigint, options: ReportArguments): void {
  if (options.json) printJson({ type: "lost", map, count });
  else (isPiped(options) ? note : printLine)(`lost ${count} records of ${map}`);
}

/** A line of bpf_trace_printk(). */
export function printTrace(line: string, options: ReportArguments): void {
  if (options.json) printJson({ type: "trace", line });
  else if (isPiped(options)) note(line);
  else printLine(line);
}

/** Where there were records, maps without entries say nothing to people, unless they are asked for. */
export function printMaps(object: LoadedObject, options: ReportArguments, records = 0): void {
  for (const map of shownMaps(object, options)) {
    if (records > 0 && map.size === 0 && options.map === undefined && !options.json) continue;
    if (options.json) printJson({ type: "map", name: map.name, entries: entriesJson(map) });
    else printLine(describeMap(map));
  }
}

/** As printMaps() prints them for people. */
export const describeMaps = (object: LoadedObject, options: ReportArguments): string =>
  shownMaps(object, options).map(describeMap).join("\n");

const describeMap = (map: TypedMap): string =>
  `\n${map.name} (${map.type}, ${map.size} ${map.size === 1 ? "entry" : "entries"})\n${mapText(map)}`;

/** `more`: what else JSON says, and the words behind the numbers that say it to people. */
export function printSummary(
  summary: RunSummary,
  options: ReportArguments,
  more: { readonly fields?: object; readonly text?: string } = {},
): void {
  const lost = summary.lost.reduce((sum, { count }) => sum + count, 0n) + summary.lostRecords;
  const { events, seconds, eventsPerSecond, records } = summary;
  if (options.json) {
    printJson({ type: "summary", events, seconds, eventsPerSecond, records, lost, ...more.fields });
  } else if (!options.quiet) {
    const rate = Math.round(eventsPerSecond).toLocaleString("en");
    const numbers = `${events.toLocaleString("en")} events in ${seconds.toFixed(3)} s (${rate}/s)`;
    note(`\n${numbers}, ${records} records, ${lost} lost${more.text ?? ""}`);
  }
}

/** Programs that are attached to nothing, a packet filter for instance, or a probe without its place: no event of `source` runs them. */
export function warnUnattached(object: LoadedObject, source: keyof typeof FED, { quiet }: ReportArguments): void {
  if (quiet) return;
  for (const program of Object.values(object.programs)) {
    if (program.links.length > 0) continue;
    const message = `no event of ${source} runs program ${program.name} of type ${program.manifest.type}`;
    note(describeError(new BpfError("CAPTURE_EVENT_MISSING", message, { hint: hintFor(program, source) })));
  }
}

/** Kinds of hooks whose events it has. */
const FED = {
  "a capture": ["tracepoint", "raw_tracepoint"],
  "a process": ["tracepoint", "raw_tracepoint", "uprobe", "uretprobe", "usdt"],
} as const satisfies Record<string, readonly HookKind[]>;

function hintFor({ manifest }: LinkedProgram, source: keyof typeof FED): string {
  const kind = hookOfProgram(manifest)?.kind;
  if (kind === "iter") return "read it: bpfjit iter";
  if (!FED[source].some((fed) => fed === kind)) return "run it on one input: bpfjit test-run";
  return `its section names no place; SEC("${manifest.section}/…") does, or attach it from a program: docs/hooks.md, docs/live.md`;
}

/** Maps of data that programs only read and maps of records say nothing at the end. */
function shownMaps(object: LoadedObject, options: ReportArguments): TypedMap[] {
  if (!options.maps || isPiped(options)) return [];
  return Object.values(object.maps).filter((map) => {
    if (options.map !== undefined) return options.map.includes(map.name);
    const { spec } = map.raw;
    return (
      !["ringbuf", "perf_event_array", "prog_array"].includes(map.type) &&
      !spec.frozen &&
      (spec.section === null || spec.variables.length > 0)
    );
  });
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
