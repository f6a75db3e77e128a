/**
 * `npm run bench:figures [-- SECTION…]`: measures what docs/performance.md shows and writes it there, into README.md and into the chart
 * docs/performance.svg. The rows themselves are kept in docs/performance.json, so that sections can be measured one at a time;
 * `--text` measures nothing and writes the pages anew from there. Sections: workloads, and the tables by name.
 */
import { writeFileSync } from "node:fs";
import { asset } from "./assets.ts";
import { type Figures, figurePages, readFigures } from "./figure-pages.ts";
import { runBench } from "./harness.ts";
import { machineText } from "./machine.ts";
import { startKernel } from "./regression.ts";
import { BASELINES, type BenchRow } from "./row.ts";
import { TABLES } from "./tables/index.ts";
import type { TableRow } from "./tables/table.ts";

const SAMPLES = 9;
const WORKERS = 2;

async function main(args: readonly string[]): Promise<number> {
  const known = ["workloads", ...TABLES.map(({ name }) => name)];
  const names = args.filter((arg) => arg !== "--text");
  if (names.some((name) => !known.includes(name))) {
    process.stderr.write(`usage: figures [--text] [SECTION…], of ${known.join(", ")}\n`);
    return 2;
  }
  const wanted = args.includes("--text") ? [] : names.length === 0 ? known : names;
  let figures = readFigures();
  for (const name of wanted) {
    figures = name === "workloads" ? await withWorkloads(figures) : await withTable(figures, name);
    write(figures);
  }
  write(figures);
  return 0;
}

function write(figures: Figures): void {
  for (const [path, text] of Object.entries(figurePages(figures))) writeFileSync(asset(path), text);
}

async function withWorkloads(figures: Figures): Promise<Figures> {
  const { kernel, reason } = await startKernel();
  kernel?.close();
  if (kernel === null) process.stderr.write(`skipped: the kernel: ${reason}\n`);
  const rows: BenchRow[] = [];
  await runBench({
    workloads: [],
    baselines: BASELINES.filter((name) => kernel !== null || !name.startsWith("kernel-")),
    levels: [2, 0, 1, 3],
    samples: SAMPLES,
    workers: WORKERS,
    onProgress: note,
    onRows: (found) => rows.push(...found),
  });
  return { ...figures, workloads: { machine: machineText(), samples: SAMPLES, rows } };
}

async function withTable(figures: Figures, name: string): Promise<Figures> {
  const table = TABLES.find((each) => each.name === name)!;
  const rows: TableRow[] = [];
  const onSkip = (text: string): void => note(`skipped: ${text}`);
  for await (const row of table.measure({ quick: false, onProgress: note, onSkip })) rows.push(row);
  return { ...figures, tables: { ...figures.tables, [name]: { machine: machineText(), rows } } };
}

const note = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

process.exitCode = await main(process.argv.slice(2));
