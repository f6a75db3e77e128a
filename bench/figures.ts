/**
 * `npm run bench:figures [-- NAME…]`: measures what docs/performance.md shows and writes it there, into README.md and into the chart
 * docs/performance.svg, after each section, so that what was measured is kept if it is stopped. Names are sections (`workloads`, and the
 * tables by name) or single workloads. The rows themselves are in docs/performance.json; `--text` measures nothing and writes the pages
 * anew from there.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { asset } from "./assets.ts";
import { type Figures, figurePages, readFigures } from "./figure-pages.ts";
import { availableBaselines, runBench, workloadNames } from "./harness.ts";
import { machineText } from "./machine.ts";
import { BASELINES, type BenchRow } from "./row.ts";
import { TABLES } from "./tables/index.ts";
import type { TableRow } from "./tables/table.ts";
import { WORKLOADS } from "./workloads.ts";

const SAMPLES = 9;
const WORKERS = 2;
const WORKLOAD_SECTION = "workloads";
/** What the tables of tiers and of workers show; of the other workloads only the last tier on one thread. */
const CHARTED: readonly string[] = WORKLOADS.filter(({ group }) => group !== "size").map(({ name }) => name);

async function main(args: readonly string[]): Promise<number> {
  const sections = [WORKLOAD_SECTION, ...TABLES.map(({ name }) => name)];
  const names = args.filter((arg) => arg !== "--text");
  const unknown = names.find((name) => !sections.includes(name) && !workloadNames().includes(name));
  if (unknown !== undefined) {
    process.stderr.write(`usage: figures [--text] [NAME…], of ${sections.join(", ")}, ${workloadNames().join(", ")}\n`);
    return 2;
  }
  const isText = args.includes("--text");
  const isWanted = (name: string): boolean => !isText && (names.length === 0 || names.includes(name));
  const workloads = workloadNames().filter((name) => isWanted(WORKLOAD_SECTION) || isWanted(name));
  const tables = TABLES.filter(({ name }) => isWanted(name));
  const jobs = [...(workloads.length === 0 ? [] : [workloads]), ...tables.map(({ name }) => [name])];
  if (jobs.length > 1) return apart(jobs);
  const figures = readFigures();
  if (workloads.length > 0) write(await withWorkloads(figures, workloads));
  else if (tables.length > 0) write(await withTable(figures, tables[0]!.name));
  else write(figures);
  return 0;
}

/** Each section in a process of its own: what V8 and the arena hold from one is in nobody's way. */
async function apart(jobs: readonly (readonly string[])[]): Promise<number> {
  for (const [index, names] of jobs.entries()) {
    note(`section ${index + 1} of ${jobs.length}: ${names.length > 1 ? WORKLOAD_SECTION : names[0]}`);
    const child = spawn(process.execPath, [process.argv[1]!, ...names], { stdio: "inherit" });
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
    if (code !== 0) return code ?? 1;
  }
  note("done");
  return 0;
}

function write(figures: Figures): void {
  for (const [path, text] of Object.entries(figurePages(figures))) writeFileSync(asset(path), text);
}

async function withWorkloads(figures: Figures, names: readonly string[]): Promise<Figures> {
  const machine = conditions();
  const baselines = await availableBaselines(BASELINES, (text) => note(`skipped: ${text}`));
  const found = new Map<string, readonly BenchRow[]>();
  let done = 0;
  const measure = async (workloads: readonly string[], detail: Pick<BenchDetail, "levels" | "workers">) => {
    if (workloads.length === 0) return;
    await runBench({
      workloads,
      baselines,
      ...detail,
      samples: SAMPLES,
      onProgress: (name) => note(`${++done} of ${names.length} workloads: ${name}`),
      onRows: (rows) => found.set(rows[0]!.workload, rows),
    });
  };
  await measure(
    names.filter((name) => CHARTED.includes(name)),
    { levels: [2, 0, 1, 3], workers: WORKERS },
  );
  await measure(
    names.filter((name) => !CHARTED.includes(name)),
    { levels: [2], workers: 0 },
  );
  const known = figures.workloads?.rows ?? [];
  const rows = workloadNames().flatMap((name) => found.get(name) ?? known.filter(({ workload }) => workload === name));
  const isWhole = names.length === workloadNames().length;
  return {
    ...figures,
    workloads: { machine: isWhole ? machine : (figures.workloads?.machine ?? machine), samples: SAMPLES, rows },
  };
}

type BenchDetail = Parameters<typeof runBench>[0];

async function withTable(figures: Figures, name: string): Promise<Figures> {
  const machine = conditions();
  const table = TABLES.find((each) => each.name === name)!;
  const rows: TableRow[] = [];
  const onSkip = (text: string): void => note(`skipped: ${text}`);
  for await (const row of table.measure({ quick: false, onProgress: note, onSkip })) rows.push(row);
  return { ...figures, tables: { ...figures.tables, [name]: { machine, rows } } };
}

/** A section before this one leaves a load of as many as there are CPUs, or workers, behind. */
const BUSY_PER_CPU = 2;

/** The machine, and that it was busy with other things where it was. */
function conditions(): string {
  const [load] = loadavg();
  const isBusy = load! > BUSY_PER_CPU * cpus().length;
  if (isBusy) note(`the machine is busy: ${load!.toFixed(1)} processes wait for ${cpus().length} CPUs`);
  return isBusy ? `${machineText()}, which was busy with other things (load ${load!.toFixed(0)})` : machineText();
}

const begun = performance.now();
let last = "";

/** How far it is, and the time since the start. */
function note(text: string): void {
  if (text === last) return;
  last = text;
  const seconds = Math.floor((performance.now() - begun) / 1000);
  const clock = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  process.stderr.write(`${clock} ${text}\n`);
}

process.exitCode = await main(process.argv.slice(2));
