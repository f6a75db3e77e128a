/** What a workload gives for one engine: `bpfjit bench --json` prints it. */
import type { OptimizeLevel } from "../compiler/index.ts";
import { median } from "./statistics.ts";

export const BASELINES = ["kernel-loop", "kernel-repeat", "js-helpers", "js"] as const;
export type Baseline = (typeof BASELINES)[number];
export type EngineName = "bpfjit" | Baseline;

export interface BenchRow {
  readonly workload: string;
  readonly engine: EngineName;
  readonly nsPerEvent: number;
  readonly eventsPerSecond: number;
  readonly workers: number;
  /** of each ring or perf buffer; null: as the object, or a reader, has it */
  readonly bufferBytes: number | null;
  readonly samples: number;
  /** of the samples, ns an event */
  readonly fastest: number;
  readonly slowest: number;
  /** of bpfjit's compiler; null: other engines */
  readonly optimize: OptimizeLevel | null;
}

/** The median of ns an event, and what lies around it. */
export function benchRow(
  workload: string,
  engine: EngineName,
  samples: readonly number[],
  detail: Partial<Pick<BenchRow, "workers" | "optimize" | "bufferBytes">> = {},
): BenchRow {
  const nsPerEvent = median(samples);
  return {
    workload,
    engine,
    nsPerEvent,
    eventsPerSecond: 1e9 / nsPerEvent,
    workers: detail.workers ?? 1,
    bufferBytes: detail.bufferBytes ?? null,
    samples: samples.length,
    fastest: Math.min(...samples),
    slowest: Math.max(...samples),
    optimize: detail.optimize ?? (engine === "bpfjit" ? 2 : null),
  };
}

export interface Together {
  readonly one: BenchRow;
  readonly several: BenchRow;
}

/** Of a workload's rows: so many workers, and one thread with buffers as large; null where they were not measured. */
export function workersOf(rows: readonly BenchRow[], workload: string, workers: number): Together | null {
  const own = rows.filter((row) => row.workload === workload && row.engine === "bpfjit");
  const several = own.findLast((row) => row.workers === workers && row.optimize === own[0]!.optimize);
  const one = own.find(
    (row) => row.workers === 1 && row.optimize === several?.optimize && row.bufferBytes === several.bufferBytes,
  );
  return several === undefined || one === undefined ? null : { one, several };
}
