/**
 * The pages that show figures, from the rows that were measured: docs/performance.json → sections of docs/performance.md, docs/profiling.md
 * and README.md between `<!-- figures: NAME -->` and `<!-- end -->`, and the chart. tests/bench/pages.test.ts holds them to it.
 */
import { existsSync, readFileSync } from "node:fs";
import { asset } from "./assets.ts";
import { chartSvg } from "./chart/index.ts";
import { meansOf, ratiosOf } from "./chart/ratios.ts";
import { type Baseline, type BenchRow, type EngineName, workersOf } from "./row.ts";
import { geometricMean } from "./statistics.ts";
import { TABLES } from "./tables/index.ts";
import { cellText, type Table, type TableRow } from "./tables/table.ts";
import { outcomesOf } from "./targets.ts";
import { TARGETS, WORKLOADS } from "./workloads.ts";

export interface Figures {
  /** null: not measured yet */
  readonly workloads: { readonly machine: string; readonly samples: number; readonly rows: readonly BenchRow[] } | null;
  readonly tables: Readonly<Record<string, { readonly machine: string; readonly rows: readonly TableRow[] }>>;
}

const ROWS = "docs/performance.json";
const CHART = "docs/performance.svg";
const PAGES = ["docs/performance.md", "docs/profiling.md", "README.md"] as const;

export function readFigures(): Figures {
  if (!existsSync(asset(ROWS))) return { workloads: null, tables: {} };
  return JSON.parse(readFileSync(asset(ROWS), "utf8")) as Figures;
}

/** Path in the repository → text, which is made of what docs/performance.json keeps of the figures. */
export function figurePages(measured: Figures): Record<string, string> {
  const rows = JSON.stringify(measured, rounded, 2);
  const figures = JSON.parse(rows) as Figures;
  const pages: Record<string, string> = { [ROWS]: `${rows}\n` };
  if (figures.workloads !== null) pages[CHART] = chartSvg(charted(quoted(figures.workloads.rows)));
  for (const page of PAGES) pages[page] = withSections(readFileSync(asset(page), "utf8"), figures);
  return pages;
}

/** Five digits are more than a measurement has. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;

const SECTION = /<!-- figures: ([\w-]+) -->\n[\s\S]*?<!-- end -->/g;

/** A section that is not measured stays as it is. */
function withSections(page: string, figures: Figures): string {
  return page.replaceAll(SECTION, (old: string, name: string) => {
    const text = sectionText(name, figures);
    return text === null ? old : `<!-- figures: ${name} -->\n${text}<!-- end -->`;
  });
}

function sectionText(name: string, figures: Figures): string | null {
  const { workloads } = figures;
  const table = TABLES.find((each) => each.name === name);
  if (table !== undefined) {
    const measured = figures.tables[name];
    return measured === undefined ? null : `${markdownTable(table, measured.rows)}\n${measured.machine}.\n`;
  }
  if (workloads === null) return null;
  switch (name) {
    case "targets":
      return targets(figures);
    case "machine":
      return `${workloads.machine}; medians of ${workloads.samples} samples in turn.\n`;
    case "basic":
    case "tool":
    case "size":
      return comparison(inGroup(workloads.rows, name));
    case "captures":
      return comparison(workloads.rows.filter(({ workload }) => workload.startsWith("capture-")));
    case "means":
      return means(quoted(workloads.rows));
    case "js":
      return againstJs(workloads.rows);
    case "levels":
      return levels(charted(workloads.rows));
    case "workers":
      return together(charted(workloads.rows));
    default:
      throw new Error(`a page has a section of figures ${name}, which nothing measures`);
  }
}

function inGroup(rows: readonly BenchRow[], group: string): BenchRow[] {
  const names = WORKLOADS.filter((workload) => workload.group === group).map(({ name }) => name);
  const packets = group === "size" ? rows.filter(({ workload }) => workload.startsWith("perf-packet-")) : [];
  return [...rows.filter(({ workload }) => names.includes(workload)), ...packets];
}

const charted = (rows: readonly BenchRow[]): BenchRow[] => [...inGroup(rows, "basic"), ...inGroup(rows, "tool")];

/** kernel-repeat is in the tables, but its ratios are no claim: a run of its own flatters us. */
const quoted = (rows: readonly BenchRow[]): BenchRow[] => rows.filter(({ engine }) => engine !== "kernel-repeat");

/** The main rows of a workload, bpfjit's at the last tier on one thread. */
function rowOf(rows: readonly BenchRow[], workload: string, engine: EngineName): BenchRow | undefined {
  return rows.find((row) => row.workload === workload && row.engine === engine);
}

const SHOWN: readonly { readonly engine: Baseline; readonly title: string }[] = [
  { engine: "kernel-loop", title: "kernel" },
  { engine: "kernel-repeat", title: "kernel-repeat" },
  { engine: "js-helpers", title: "js-helpers" },
  { engine: "js", title: "js" },
];

function comparison(rows: readonly BenchRow[]): string {
  const engines = SHOWN.filter(({ engine }) => rows.some((row) => row.engine === engine));
  const hasTargets = rows.some(({ workload }) => TARGETS[workload] !== undefined);
  const heads = [
    "workload",
    "bpfjit ns",
    "events/s",
    ...engines.flatMap(({ engine, title }) => [
      `${title} ns`,
      "ratio",
      ...(engine === "kernel-loop" && hasTargets ? ["wanted"] : []),
    ]),
  ];
  const lines = [...new Set(rows.map(({ workload }) => workload))].map((workload) => {
    const own = rowOf(rows, workload, "bpfjit")!;
    const others = engines.flatMap(({ engine }) => {
      const other = rowOf(rows, workload, engine);
      const target = engine === "kernel-loop" && hasTargets ? [TARGETS[workload]?.toFixed(2) ?? ""] : [];
      if (other === undefined) return ["", "", ...target];
      return [figure(other.nsPerEvent), (own.nsPerEvent / other.nsPerEvent).toFixed(2), ...target];
    });
    return [workload, figure(own.nsPerEvent), Math.round(own.eventsPerSecond).toLocaleString("en"), ...others];
  });
  return markdown(heads, lines);
}

function means(rows: readonly BenchRow[]): string {
  const all = meansOf(ratiosOf(rows)).map(({ engine, mean }) => `${mean.toFixed(2)} of \`${engine}\``);
  return `Geometric means of bpfjit's time to the others', over all workloads: ${all.join(", ")}.\n${bodies(rows)}`;
}

/** A round in the kernel costs something by itself, which ours does not: the mean without it. */
function bodies(rows: readonly BenchRow[]): string {
  const round = rowOf(rows, "empty", "kernel-loop")?.nsPerEvent;
  if (round === undefined) return "";
  const ratios = ratiosOf(rows).flatMap(({ nsPerEvent, ratios: { "kernel-loop": ratio } }) => {
    const body = ratio === undefined ? 0 : nsPerEvent / ratio - round;
    // of less there is little but noise left
    return body < round ? [] : [nsPerEvent / body];
  });
  const mean = geometricMean(ratios).toFixed(2);
  return `An empty round of the kernel's loop takes ${figure(round)} ns here. With that taken off the kernel's times alone, where as much is left: ${mean}.\n`;
}

/** Below this, two times are taken for the same. */
const NOISE = 1.05;

function againstJs(rows: readonly BenchRow[]): string {
  const compared = ratiosOf(rows).flatMap(({ workload, ratios: { js } }) =>
    js === undefined ? [] : [{ workload, ratio: js }],
  );
  const slower = compared.filter(({ ratio }) => ratio > NOISE).sort((one, other) => other.ratio - one.ratio);
  const list = slower.map(({ workload, ratio }) => `\`${workload}\` ${ratio.toFixed(2)}`).join(", ");
  const all = `bpfjit is as fast or faster in ${compared.length - slower.length} of ${compared.length} workloads`;
  return slower.length === 0 ? `${all}.\n` : `${all}; it takes more time than JavaScript in ${list}.\n`;
}

function targets(figures: Figures): string {
  const outcomes = outcomesOf(figures);
  const lines = outcomes.map(({ what, wanted, measured, isMet }) => [what, wanted, measured, isMet ? "yes" : "no"]);
  const limits = [...new Set(outcomes.flatMap(({ limit }) => limit ?? []))].map((limit) => `- ${limit}.\n`);
  const met = outcomes.filter(({ isMet }) => isMet).length;
  const why = limits.length === 0 ? "" : `\nWhy not:\n\n${limits.join("")}`;
  return `${met} of ${outcomes.length} are met.\n\n${markdown(["target", "wanted", "measured", "met"], lines)}${why}`;
}

function levels(rows: readonly BenchRow[]): string {
  const names = [...new Set(rows.map(({ workload }) => workload))];
  const lines = names.map((workload) => [
    workload,
    ...[0, 1, 2, 3].map((level) => {
      const row = rows.find(
        (each) =>
          each.workload === workload && each.optimize === level && each.workers === 1 && each.engine === "bpfjit",
      );
      return row === undefined ? "" : figure(row.nsPerEvent);
    }),
  ]);
  return markdown(["workload", "level 0", "level 1", "level 2", "level 3"], lines);
}

/** The fastest samples: two threads on two CPUs are held up by all else that runs. */
function together(rows: readonly BenchRow[]): string {
  const names = [...new Set(rows.map(({ workload }) => workload))];
  const lines = names.flatMap((workload) => {
    const found = workersOf(rows, workload, 2);
    if (found === null) return [];
    const [one, two] = [found.one.fastest, found.several.fastest];
    return [[workload, figure(one), figure(two), (one / two).toFixed(2)]];
  });
  return markdown(["workload", "one thread", "two workers", "times as fast"], lines);
}

/** Three digits, as far as they mean something. */
const figure = (ns: number): string => (ns < 10 ? ns.toFixed(2) : ns < 100 ? ns.toFixed(1) : ns.toFixed(0));

function markdownTable({ columns }: Table, rows: readonly TableRow[]): string {
  return markdown(
    columns.map(({ title }) => title),
    rows.map((row) => columns.map((column) => cellText(column, row[column.key]))),
  );
}

/** Columns of numbers are flush right; what else there is, left. */
function markdown(heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const isNumber = heads.map((_, column) => lines.every((line) => /^-?[\d.,]*$/.test(line[column]!)));
  const widths = heads.map((head, column) => Math.max(3, head.length, ...lines.map((line) => line[column]!.length)));
  const cell = (text: string, column: number): string =>
    isNumber[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
  const rule = widths.map((width, column) => (isNumber[column] ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [heads.map(cell), rule, ...lines.map((line) => line.map(cell))]
    .map((cells) => `| ${cells.join(" | ")} |\n`)
    .join("");
}
