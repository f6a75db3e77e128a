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
  detail: { readonly workers?: number; readonly optimize?: OptimizeLevel | null } = {},
): BenchRow {
  const nsPerEvent = median(samples);
  return {
    workload,
    engine,
    nsPerEvent,
    eventsPerSecond: 1e9 / nsPerEvent,
    workers: detail.workers ?? 1,
    samples: samples.length,
    fastest: Math.min(...samples),
    slowest: Math.max(...samples),
    optimize: detail.optimize ?? (engine === "bpfjit" ? 2 : null),
  };
}
