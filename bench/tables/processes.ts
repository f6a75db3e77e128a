/**
 * What the machine itself gives two processes that share nothing: the same workload in one, then in two at the same time. Virtual
 * CPUs may be two threads of one core, and memory is one: what two workers cannot exceed.
 */
import { asset } from "../assets.ts";
import type { BenchRow } from "../row.ts";
import { runNode } from "./child.ts";
import type { Table } from "./table.ts";

const WORKLOADS = ["empty", "percpu-counter", "compute-percpu", "ring", "perf-output"] as const;

export const processes: Table = {
  name: "processes",
  summary: "The same workload in one process and in two at once, which share nothing: medians of the slower one.",
  columns: [
    { key: "workload", title: "workload" },
    { key: "alone", title: "one process, ns", digits: 2 },
    { key: "together", title: "each of two, ns", digits: 2 },
    { key: "times", title: "times as fast", digits: 2 },
  ],
  async *measure({ quick, onProgress }) {
    for (const workload of quick ? WORKLOADS.slice(0, 2) : WORKLOADS) {
      onProgress(`processes ${workload}`);
      const alone = await measured(workload, quick);
      const both = await Promise.all([measured(workload, quick), measured(workload, quick)]);
      const together = Math.max(...both);
      yield { workload, alone, together, times: (2 * alone) / together };
    }
  },
};

/** ns an event, the median of samples enough to overlap with those of a process beside it. */
async function measured(workload: string, quick: boolean): Promise<number> {
  const command = asset("lib/bin/bpfjit.js");
  const amount = quick ? ["--quick"] : ["--samples", "101"];
  const { stdout } = await runNode([command, "bench", workload, "--quiet", "--json", ...amount]);
  return (JSON.parse(stdout.slice(0, stdout.indexOf("\n"))) as BenchRow).nsPerEvent;
}
