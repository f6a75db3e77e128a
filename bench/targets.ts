/**
 * What is wanted of bpfjit, held against what was measured; why where it is not reached: docs/performance.md has the table, and
 * `bpfjit bench` prints what it measured of it. Ratios of single workloads: TARGETS.
 */
import { meansOf, ratiosOf, type WorkloadRatios } from "./chart/ratios.ts";
import type { Figures } from "./figure-pages.ts";
import { workersOf } from "./row.ts";
import type { TableRow } from "./tables/table.ts";
import { TARGETS } from "./workloads.ts";

export interface Outcome {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  readonly isMet: boolean;
  /** null: it is met */
  readonly limit: string | null;
}

/** What bounds it, for those that were not met wherever they were measured; the others have none. */
const LIMITS = {
  ring:
    "`ring`: a record of 64 bytes is nine words to write, and five more that readers on other threads, and those that come after a writer " +
    "was stopped, need; the kernel's time, an empty round taken off, is only three times ours",
  capture:
    "Captures: a third of the time is read(2), two thirds are decoding and ordering, in JavaScript; the program is 2 to 10 ns of it. " +
    "`perf script` and what reads it are two processes, on two CPUs where there are two, and we are one",
  js: "`js`: JavaScript by hand leaves out what a map or a ring promises: [below](#against-javascript-by-hand)",
  workers:
    "Two workers: [two processes that share nothing](#two-workers) are what the machine's two CPUs give at most. Beyond that, records: one " +
    "worker writes one every 5 to 7 ns, more than 10 GB/s, which two CPUs do not double, and what the reader's CPU has read must be fetched back",
  load:
    "Loading: the first long program of a process meets a verifier that V8 has not compiled yet; the same program once more takes the " +
    "time in the column `again` [below](#tiers)",
  start:
    "Starting: V8 takes 14 ms here to parse the 425 KB of `bpfjit/runtime` (`node --cpu-prof`; of the bundle minified, 1.5 ms less), Node's own " +
    "modules 2 ms, and bare Node itself 65 to 70 ms; loading the program is the difference of two rows [below](#start-up)",
} as const;

type LimitName = keyof typeof LIMITS;

interface Ask {
  readonly what: string;
  readonly wanted: number;
  readonly unit?: string;
  readonly digits?: number;
  /** more is better */
  readonly isRate?: boolean;
  readonly measured: number | undefined;
  readonly limit?: LimitName;
}

/** What was not measured is left out; what is said of all workloads, where not all that it is wanted of were. */
export function outcomesOf(figures: Figures): Outcome[] {
  return [...workloadAsks(figures), ...workerAsks(figures), ...tableAsks(figures)].flatMap((ask) =>
    ask.measured === undefined ? [] : [outcomeOf({ ...ask, measured: ask.measured })],
  );
}

function outcomeOf({
  what,
  wanted,
  unit = "",
  digits = 2,
  isRate,
  measured,
  limit,
}: Ask & { measured: number }): Outcome {
  const isMet = isRate ? measured >= wanted : measured <= wanted;
  const text = (value: number): string =>
    value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return {
    what,
    wanted: `${isRate ? "≥" : "≤"} ${text(wanted)}${unit}`,
    measured: `${text(measured)}${unit}`,
    isMet,
    limit: isMet || limit === undefined ? null : LIMITS[limit],
  };
}

/** Of all workloads, as a ratio to the kernel. */
const MEAN = 0.4;
const WORST = 1.25;

function workloadAsks(figures: Figures): Ask[] {
  const compared = ratiosOf(figures.workloads?.rows ?? []);
  const kernels = compared.filter(({ ratios }) => ratios["kernel-loop"] !== undefined);
  const worst = worstBy(kernels, ({ ratios }) => ratios["kernel-loop"]!);
  const isWhole = hasAll(kernels);
  const scripted = compared.filter(({ ratios }) => ratios.js !== undefined);
  const js = worstBy(scripted, ({ ratios }) => ratios.js!);
  return [
    ...kernels.flatMap(({ workload, ratios, target }): Ask[] =>
      target === null
        ? []
        : [
            {
              what: `\`${workload}\` to the kernel`,
              wanted: target,
              measured: ratios["kernel-loop"],
              ...(workload === "ring" && { limit: "ring" }),
            },
          ],
    ),
    {
      what: "geometric mean of all to the kernel",
      wanted: MEAN,
      measured: isWhole ? meansOf(compared).find(({ engine }) => engine === "kernel-loop")?.mean : undefined,
    },
    {
      what: `the worst of ${isWhole ? "all" : "these"} to the kernel (\`${worst?.workload}\`)`,
      wanted: WORST,
      measured: worst?.ratios["kernel-loop"],
    },
    {
      what: `the worst of ${hasAll(scripted) ? "all" : "these"} to \`js\` (\`${js?.workload}\`)`,
      wanted: 1,
      measured: js?.ratios.js,
      limit: "js",
    },
  ];
}

/** All that something is wanted of. */
const hasAll = (measured: readonly WorkloadRatios[]): boolean =>
  Object.keys(TARGETS).every((name) => measured.some(({ workload }) => workload === name));

function worstBy(all: readonly WorkloadRatios[], ratio: (each: WorkloadRatios) => number): WorkloadRatios | undefined {
  return all.reduce<WorkloadRatios | undefined>(
    (worst, each) => (worst === undefined || ratio(each) > ratio(worst) ? each : worst),
    undefined,
  );
}

/** Two workers, times as fast as the calling thread alone: the fastest sample of each. */
const TOGETHER = 1.9;

function workerAsks(figures: Figures): Ask[] {
  const rows = figures.workloads?.rows ?? [];
  return ["percpu-counter", "compute-percpu", "ring", "perf-output"].map((workload) => {
    const found = workersOf(rows, workload, 2);
    return {
      what: `\`${workload}\`, two workers to one thread`,
      wanted: TOGETHER,
      isRate: true,
      measured: found === null ? undefined : found.one.fastest / found.several.fastest,
      limit: "workers",
    };
  });
}

function tableAsks(figures: Figures): Ask[] {
  const value = (table: string, key: string, isRow: (row: TableRow) => boolean): number | undefined => {
    const found = figures.tables[table]?.rows.find(isRow)?.[key];
    return typeof found === "number" ? found : undefined;
  };
  const rate = { isRate: true, digits: 0, unit: " events/s" } as const;
  const speed = { wanted: 5, isRate: true, digits: 1, unit: " times" } as const;
  const of =
    (job: string) =>
    (row: TableRow): boolean =>
      row.job === job && String(row.way).startsWith("bpfjit");
  const load = (least: number) => (row: TableRow) => Number(row.instructions) > least;
  const what = (text: string) => (row: TableRow) => row.what === text;
  const ms = { unit: " ms", digits: 0 } as const;
  const megabytes = { unit: " MB", digits: 1 } as const;
  return [
    {
      what: "capture to a counter",
      wanted: 10e6,
      ...rate,
      measured: value("tracepoints", "perSecond", of("counter")),
      limit: "capture",
    },
    {
      what: "capture to a counter, to `perf script`",
      ...speed,
      measured: value("tracepoints", "speed", of("counter")),
      limit: "capture",
    },
    {
      what: "capture to a record read",
      wanted: 4e6,
      ...rate,
      measured: value("tracepoints", "perSecond", of("record")),
      limit: "capture",
    },
    {
      what: "capture to a record read, to `perf script`",
      ...speed,
      measured: value("tracepoints", "speed", of("record")),
      limit: "capture",
    },
    {
      what: "load of 2,000 instructions",
      wanted: 100,
      ...ms,
      measured: value("compile", "load", load(1_900)),
      limit: "load",
    },
    {
      what: "load of 20,000 instructions",
      wanted: 1000,
      ...ms,
      measured: value("compile", "load", load(19_900)),
      limit: "load",
    },
    {
      what: "start with a prebuilt program, over bare Node",
      wanted: 20,
      ...ms,
      measured: value("startup", "overNode", what("the same, and a prebuilt program loaded and attached")),
      limit: "start",
    },
    {
      what: "memory of a prebuilt program, over bare Node",
      wanted: 30,
      ...megabytes,
      measured: value("memory", "overNode", what("bpfjit/runtime, one prebuilt program")),
    },
    {
      what: "memory of each further program that is compiled",
      wanted: 2,
      ...megabytes,
      measured: figures.tables.memory?.rows.at(-1)?.perProgram as number | undefined,
    },
  ];
}
