/** `bpfjit bench`: the benchmark table. */
import { cpus, release } from "node:os";
import { UsageError } from "../../base/index.ts";
import { BASELINES, type Baseline, type BenchRow, runBench, workloadNames } from "../../bench/harness.ts";
import { geometricMean } from "../../bench/statistics.ts";
import { err } from "../colors.ts";
import { parseCount } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { note, printJson, printLine } from "../output.ts";

interface BenchOptions extends CommonOptions {
  readonly baseline?: string;
  readonly samples: string;
  readonly workers: string;
  readonly list?: boolean;
}

export async function bench(workloads: readonly string[], options: BenchOptions): Promise<void> {
  if (options.list) {
    for (const name of workloadNames()) printLine(name);
    return;
  }
  const samples = parseCount(options.samples, "--samples", 1, 1000);
  const workers = parseCount(options.workers, "--workers", 0, 256);
  const baselines = parseBaselines(options.baseline ?? "");
  const ratios: number[] = [];
  if (!options.json) {
    note(
      err.dim(
        `${cpus()[0]?.model ?? "unknown CPU"}, Node ${process.version}, kernel ${release()}, median of ${samples} samples in turn`,
      ),
    );
    printLine(
      [
        "workload".padEnd(20),
        "bpfjit ns".padStart(10),
        "events/s".padStart(15),
        ...(workers === 0 ? [] : [`${workers} workers`.padStart(12), "speed".padStart(7)]),
        ...baselines.flatMap((name) => [`${name} ns`.padStart(17), "ratio".padStart(7)]),
      ].join(" "),
    );
  }
  await runBench({
    workloads,
    baselines,
    samples,
    workers,
    onProgress: (text) => {
      if (!options.quiet && !options.json && process.stderr.isTTY)
        process.stderr.write(`\r${err.dim(text.padEnd(30))}\r`);
    },
    onRows: (rows) => {
      if (options.json) for (const row of rows) printJson(row);
      else printLine(tableLine(rows, workers, baselines));
      const loop = rows.find((row) => row.engine === "kernel-loop");
      if (loop !== undefined) ratios.push(rows[0]!.nsPerEvent / loop.nsPerEvent);
    },
  });
  if (!options.json && ratios.length > 1)
    printLine(`geometric mean of the ratios to kernel-loop: ${geometricMean(ratios).toFixed(2)}`);
}

function parseBaselines(text: string): Baseline[] {
  return text
    .split(",")
    .filter((name) => name !== "")
    .map((name) => {
      const known = BASELINES.find((each) => each === name);
      if (known === undefined)
        throw new UsageError("USAGE", `there is no baseline ${name}`, { hint: `there are ${BASELINES.join(", ")}` });
      return known;
    });
}

function tableLine(rows: readonly BenchRow[], workers: number, baselines: readonly Baseline[]): string {
  const own = rows[0]!;
  const cells = [
    own.workload.padEnd(20),
    own.nsPerEvent.toFixed(2).padStart(10),
    Math.round(own.eventsPerSecond).toLocaleString("en").padStart(15),
  ];
  if (workers > 0) {
    const together = rows.slice(1).find((row) => row.engine === "bpfjit");
    cells.push((together?.nsPerEvent.toFixed(2) ?? "").padStart(12));
    cells.push((together === undefined ? "" : (own.nsPerEvent / together.nsPerEvent).toFixed(2)).padStart(7));
  }
  for (const baseline of baselines) {
    const other = rows.find((row) => row.engine === baseline);
    cells.push(other === undefined ? "".padStart(17) : other.nsPerEvent.toFixed(2).padStart(17));
    cells.push(other === undefined ? "".padStart(7) : (own.nsPerEvent / other.nsPerEvent).toFixed(2).padStart(7));
  }
  return cells.join(" ");
}
