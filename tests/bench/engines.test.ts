/** Engines that are compared do the same: the helpers in TypeScript count what the library counts, and write what it writes. */
import { expect, test } from "vitest";
import { BpfjitEngine } from "../../bench/engine.ts";
import { EVENT_BYTES, EVENT_COUNT, generateEvents } from "../../bench/events.ts";
import { HostHelpersEngine } from "../../bench/host-helpers.ts";
import { WORKLOADS } from "../../bench/workloads.ts";
import { bpfjit, jsonLines } from "../command/command.ts";
import { oracleProblem } from "../kernel/oracle.ts";

const payload = generateEvents();
const words = new Uint32Array(payload.buffer);
const pids = new Set(Array.from({ length: EVENT_COUNT }, (_, event) => words[(event * EVENT_BYTES) / 4 + 2]!));

test.each([
  ["counter", "counters", [1]],
  ["percpu-counter", "percpu_counters", [1]],
  ["hash-count", "by_pid", [...pids]],
  ["percpu-hash-count", "by_pid_percpu", [...pids]],
  ["lru-count", "by_pid_lru", [...pids]],
  ["lru-full", "full_lru", [...pids]],
  ["hash-update", "by_pid", [...pids]],
  ["programs-64", "totals", [0, 1, 2, 3]],
  ["runqlat", "queued", [...pids]],
  ["syscount", "entered", [...pids]],
] as const)("%s leaves the same in %s", async (name, map, keys) => {
  const workload = { ...WORKLOADS.find((each) => each.name === name)!, links: 1 };
  const own = await BpfjitEngine.start(workload, payload);
  const other = await HostHelpersEngine.start(workload, payload);
  try {
    own.run(2);
    other!.run(2);
    let known = 0;
    const values = keys.map((key) => {
      const value = own.object.map(map).get(key) ?? null;
      const theirs = other!.valueOf(map, key);
      if (theirs !== null) known += 1;
      return [key, Array.isArray(value) ? value[0] : value, theirs] as const;
    });
    expect(known).toBeGreaterThan(0);
    // which of the old ones go is each LRU's own matter
    if (name === "lru-full") return;
    for (const [key, value, theirs] of values) {
      expect(theirs === null ? null : Number(theirs), `${map}[${key}]`).toBe(value === null ? null : Number(value));
    }
  } finally {
    own.close();
    other?.close();
  }
});

test.skipIf(oracleProblem() !== null)("the kernel takes part where it can", { timeout: 120_000 }, async () => {
  const names = ["hash-count", "exec-record", "tail-calls", "programs-64"];
  const args = ["bench", ...names, "--quick", "--samples", "1", "--json", "--baseline", "kernel-loop,kernel-repeat"];
  const { code, stdout, stderr } = await bpfjit(args);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  const engines = (workload: string): unknown[] =>
    jsonLines(stdout).flatMap((row) => (row.workload === workload ? [row.engine] : []));
  expect(engines("hash-count")).toEqual(["bpfjit", "kernel-loop", "kernel-repeat"]);
  expect(engines("exec-record")).toEqual(["bpfjit", "kernel-loop", "kernel-repeat"]);
  expect(engines("tail-calls")).toEqual(["bpfjit", "kernel-repeat"]);
  expect(engines("programs-64")).toEqual(["bpfjit"]);
});
