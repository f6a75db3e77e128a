/** `bpfjit bench`: workloads on engines side by side, tables of what else costs time or memory, a chart. */
import { LAST_TIER } from "../../api/compilation.ts";
import { UsageError } from "../../base/index.ts";
import { chartPage, chartSvg } from "../../bench/chart/index.ts";
import { availableBaselines, runBench, workloadNames } from "../../bench/harness.ts";
import { machineText } from "../../bench/machine.ts";
import { BASELINES, type Baseline, type BenchRow, workersOf } from "../../bench/row.ts";
import { geometricMean } from "../../bench/statistics.ts";
import { TABLES } from "../../bench/tables/index.ts";
import { cellText, type Table, type TableRow } from "../../bench/tables/table.ts";
import { TARGETS } from "../../bench/workloads.ts";
import { printTargets } from "../bench-targets.ts";
import { err } from "../colors.ts";
import { parseCount, writeOutputFile } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { note, printJson, printLine } from "../output.ts";

interface BenchOptions extends CommonOptions {
  readonly baseline?: string;
  readonly samples: string;
  readonly workers: string;
  readonly opt: string;
  readonly table?: string;
  readonly chart?: string;
  readonly quick?: boolean;
  readonly list?: boolean;
}

type Level = 0 | 1 | 2 | 3;

export async function bench(workloads: readonly string[], options: BenchOptions): Promise<void> {
  if (options.list) {
    for (const name of workloadNames()) printLine(name);
    for (const { name, summary } of TABLES) printLine(`--table ${name.padEnd(12)} ${summary}`);
    return;
  }
  const tables = oneOf(options.table ?? "", "table", ["all", ...TABLES.map(({ name }) => name)]);
  if (options.chart !== undefined && !/\.(svg|html)$/.test(options.chart))
    throw new UsageError("USAGE", `a chart is written as .svg or .html, not ${options.chart}`);
  if (tables.length > 0 && options.chart !== undefined)
    throw new UsageError("USAGE", "--chart draws workloads, not tables");
  if (!options.json)
    note(err.dim(`${machineText()}${tables.length > 0 ? "" : `, median of ${options.samples} samples`}`));
  if (tables.length > 0) await benchTables(tables, options);
  else await benchWorkloads(workloads, options);
}

async function benchTables(names: readonly string[], options: BenchOptions): Promise<void> {
  const measured: Record<string, { readonly machine: string; readonly rows: readonly TableRow[] }> = {};
  const wanted = TABLES.filter(({ name }) => names.includes("all") || names.includes(name));
  for (const table of wanted) measured[table.name] = { machine: machineText(), rows: await printTable(table, options) };
  if (!options.quick) printTargets({ workloads: null, tables: measured }, options.json === true);
}

async function benchWorkloads(workloads: readonly string[], options: BenchOptions): Promise<void> {
  const samples = parseCount(options.samples, "--samples", 1, 1000);
  const workers = parseCount(options.workers, "--workers", 0, 256);
  const levels = oneOf(options.opt, "level", ["0", "1", "2", "3"]).map((level) => Number(level) as Level);
  const wanted: readonly string[] = oneOf(options.baseline ?? "", "baseline", BASELINES);
  const baselines = await availableBaselines(
    BASELINES.filter((name) => wanted.includes(name)),
    (text) => note(`skipped: ${text}`),
  );
  const columns: Columns = { workers, baselines, levels };
  const ratios = new Map<Baseline, number[]>(baselines.map((name) => [name, []]));
  const all: BenchRow[] = [];
  if (!options.json) printLine(headLine(columns));
  await runBench({
    workloads,
    baselines,
    levels,
    samples,
    quick: options.quick === true,
    workers,
    onProgress: (text) => progress(text, options),
    onRows: (rows) => {
      all.push(...rows);
      if (options.json) for (const row of rows) printJson(row);
      else printLine(tableLine(rows, columns));
      for (const [name, found] of ratios) {
        const other = rows.find((row) => row.engine === name);
        if (other !== undefined) found.push(rows[0]!.nsPerEvent / other.nsPerEvent);
      }
    },
  });
  if (!options.json)
    for (const [name, found] of ratios)
      if (found.length > 1) printLine(`geometric mean of the ratios to ${name}: ${geometricMean(found).toFixed(2)}`);
  // they are wanted of the code that programs end with
  if (!options.quick && levels[0] === LAST_TIER.optimize) {
    const measured = { machine: machineText(), samples, rows: all };
    printTargets({ workloads: measured, tables: {} }, options.json === true);
  }
  if (options.chart === undefined) return;
  const text = options.chart.endsWith(".svg") ? chartSvg(all) : chartPage(all, machineText());
  writeOutputFile(options.chart, new TextEncoder().encode(text));
}

/** Rows as they come where they are JSON, else when their widths are known. Returns them. */
async function printTable(table: Table, options: BenchOptions): Promise<TableRow[]> {
  const rows: TableRow[] = [];
  const measuring = table.measure({
    quick: options.quick === true,
    onProgress: (text) => progress(text, options),
    onSkip: (text) => note(`skipped: ${text}`),
  });
  for await (const row of measuring) {
    if (options.json) printJson({ table: table.name, ...row });
    rows.push(row);
  }
  if (options.json) return rows;
  const texts = [
    table.columns.map(({ title }) => title),
    ...rows.map((row) => table.columns.map((column) => cellText(column, row[column.key]))),
  ];
  const widths = table.columns.map((_, index) => Math.max(...texts.map((cells) => cells[index]!.length)));
  const isText = table.columns.map(({ key }) => rows.some((row) => typeof row[key] === "string"));
  printLine("");
  printLine(table.summary);
  for (const cells of texts) {
    const padded = cells.map((cell, index) =>
      isText[index] ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!),
    );
    printLine(padded.join("  ").trimEnd());
  }
  return rows;
}

function progress(text: string, options: BenchOptions): void {
  if (!options.quiet && !options.json && process.stderr.isTTY) process.stderr.write(`\r${err.dim(text.padEnd(50))}\r`);
}

/** A list separated by commas. */
function oneOf(text: string, what: string, known: readonly string[]): string[] {
  const names = text.split(",").filter((name) => name !== "");
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return names;
  throw new UsageError("USAGE", `there is no ${what} ${unknown}`, { hint: `there are ${known.join(", ")}` });
}

interface Columns {
  readonly workers: number;
  readonly baselines: readonly Baseline[];
  /** those behind the first are columns of their own */
  readonly levels: readonly Level[];
}

function headLine({ workers, baselines, levels }: Columns): string {
  return [
    "workload".padEnd(20),
    "bpfjit ns".padStart(10),
    "events/s".padStart(15),
    ...levels.slice(1).map((level) => `level ${level}`.padStart(9)),
    ...(workers === 0 ? [] : [`${workers} workers`.padStart(12), "speed".padStart(7)]),
    ...baselines.flatMap((name) => [
      `${name} ns`.padStart(17),
      "ratio".padStart(7),
      ...(name === "kernel-loop" ? ["wanted".padStart(7)] : []),
    ]),
  ].join(" ");
}

function tableLine(rows: readonly BenchRow[], { workers, baselines, levels }: Columns): string {
  const own = rows[0]!;
  const ours = rows.slice(1).filter(({ engine }) => engine === "bpfjit");
  const cells = [
    own.workload.padEnd(20),
    own.nsPerEvent.toFixed(2).padStart(10),
    Math.round(own.eventsPerSecond).toLocaleString("en").padStart(15),
  ];
  for (const level of levels.slice(1)) {
    const other = ours.find((row) => row.optimize === level);
    cells.push((other?.nsPerEvent.toFixed(2) ?? "").padStart(9));
  }
  if (workers > 0) {
    const found = workersOf(rows, own.workload, workers);
    cells.push((found?.several.nsPerEvent.toFixed(2) ?? "").padStart(12));
    cells.push((found === null ? "" : (found.one.nsPerEvent / found.several.nsPerEvent).toFixed(2)).padStart(7));
  }
  for (const baseline of baselines) {
    const other = rows.find((row) => row.engine === baseline);
    cells.push((other?.nsPerEvent.toFixed(2) ?? "").padStart(17));
    cells.push((other === undefined ? "" : (own.nsPerEvent / other.nsPerEvent).toFixed(2)).padStart(7));
    if (baseline === "kernel-loop") cells.push((TARGETS[own.workload]?.toFixed(2) ?? "").padStart(7));
  }
  return cells.join(" ").trimEnd();
}
