/** Rows of the benchmark → for each workload bpfjit's time relative to each other engine's. */
import { BASELINES, type Baseline, type BenchRow } from "../row.ts";
import { geometricMean } from "../statistics.ts";
import { TARGETS } from "../workloads.ts";

export interface WorkloadRatios {
  readonly workload: string;
  readonly nsPerEvent: number;
  /** below 1: bpfjit is faster */
  readonly ratios: Readonly<Partial<Record<Baseline, number>>>;
  /** wanted ratio to kernel-loop */
  readonly target: number | null;
}

/** In the order of the rows; workloads that were compared with nothing are left out. */
export function ratiosOf(rows: readonly BenchRow[]): WorkloadRatios[] {
  const names = [...new Set(rows.map(({ workload }) => workload))];
  return names.flatMap((workload) => {
    const its = rows.filter((row) => row.workload === workload);
    const own = its.find(({ engine }) => engine === "bpfjit");
    if (own === undefined) return [];
    const ratios: Partial<Record<Baseline, number>> = {};
    for (const { engine, nsPerEvent } of its) if (engine !== "bpfjit") ratios[engine] = own.nsPerEvent / nsPerEvent;
    if (Object.keys(ratios).length === 0) return [];
    return [{ workload, nsPerEvent: own.nsPerEvent, ratios, target: TARGETS[workload] ?? null }];
  });
}

/** Of the engines that some workload was compared with, in their order. */
export function meansOf(workloads: readonly WorkloadRatios[]): { readonly engine: Baseline; readonly mean: number }[] {
  return BASELINES.flatMap((engine) => {
    const found = workloads.flatMap(({ ratios }) => ratios[engine] ?? []);
    return found.length === 0 ? [] : [{ engine, mean: geometricMean(found) }];
  });
}
