/** What is wanted and what was measured, by figures that are made up. */
import { describe, expect, test } from "vitest";
import type { BenchRow, EngineName } from "../../bench/row.ts";
import { outcomesOf } from "../../bench/targets.ts";
import { TARGETS } from "../../bench/workloads.ts";

const row = (workload: string, engine: EngineName, nsPerEvent: number): BenchRow => ({
  workload,
  engine,
  nsPerEvent,
  eventsPerSecond: 1e9 / nsPerEvent,
  workers: 1,
  bufferBytes: null,
  samples: 1,
  fastest: nsPerEvent,
  slowest: nsPerEvent,
  optimize: engine === "bpfjit" ? 2 : null,
});
const outcomes = (rows: readonly BenchRow[]) =>
  outcomesOf({ workloads: { machine: "made up", samples: 1, rows }, tables: {} });

describe("targets", () => {
  test("a workload's is its ratio to the kernel; what is not met says why", () => {
    const [own, worst, js] = outcomes([row("ring", "bpfjit", 3), row("ring", "kernel-loop", 10), row("ring", "js", 2)]);
    expect(own).toMatchObject({ what: "`ring` to the kernel", wanted: "≤ 0.25", measured: "0.30", isMet: false });
    expect(own!.limit).toContain("`ring`");
    expect(worst).toMatchObject({
      what: "the worst of these to the kernel (`ring`)",
      measured: "0.30",
      isMet: true,
      limit: null,
    });
    expect(js).toMatchObject({ what: "the worst of these to `js` (`ring`)", measured: "1.50", isMet: false });
    expect(js!.limit).toContain("leaves out");
  });

  test("of all workloads nothing is said before all were measured", () => {
    const all = Object.keys(TARGETS).flatMap((name) => [row(name, "bpfjit", 1), row(name, "kernel-loop", 10)]);
    const means = (rows: readonly BenchRow[]) => outcomes(rows).filter(({ what }) => what.includes("mean of all"));
    expect(means(all)).toMatchObject([{ wanted: "≤ 0.40", measured: "0.10", isMet: true }]);
    expect(means(all.slice(2))).toEqual([]);
  });

  test("tables have some, and what was not measured has none", () => {
    const rows = [{ job: "counter", way: "bpfjit", perSecond: 9e6, speed: 6 }];
    const found = outcomesOf({ workloads: null, tables: { tracepoints: { machine: "made up", rows } } });
    expect(found).toMatchObject([
      { what: "capture to a counter", wanted: "≥ 10,000,000 events/s", measured: "9,000,000 events/s", isMet: false },
      { what: "capture to a counter, to `perf script`", wanted: "≥ 5.0 times", isMet: true },
    ]);
    expect(outcomesOf({ workloads: null, tables: {} })).toEqual([]);
  });
});
