/** The benchmark command: its rows, its tables, its chart, in small measurements. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bpfjit, jsonLines } from "../command/command.ts";

const TIMEOUT = { timeout: 120_000 };

describe("workloads", () => {
  test("a row an engine, with the fields that the contract names", TIMEOUT, async () => {
    const args = [
      "bench",
      "counter",
      "--json",
      "--quick",
      "--samples",
      "2",
      "--opt",
      "2,0",
      "--baseline",
      "js-helpers,js",
    ];
    const { code, stdout } = await bpfjit(args);
    expect(code).toBe(0);
    const rows = jsonLines(stdout);
    expect(rows.map(({ engine, optimize }) => [engine, optimize])).toEqual([
      ["bpfjit", 2],
      ["bpfjit", 0],
      ["js-helpers", null],
      ["js", null],
    ]);
    for (const row of rows) {
      expect(row).toMatchObject({ workload: "counter", workers: 1, samples: 2 });
      expect(row.nsPerEvent).toBeGreaterThan(0);
      expect(Number(row.eventsPerSecond) * Number(row.nsPerEvent)).toBeCloseTo(1e9, -3);
    }
  });

  test("the chart is drawn, as SVG and as a page", TIMEOUT, async () => {
    const folder = mkdtempSync(join(tmpdir(), "bpfjit-chart-"));
    try {
      for (const name of ["chart.svg", "chart.html"]) {
        const path = join(folder, name);
        const args = [
          "bench",
          "counter",
          "hash-count",
          "--quick",
          "--samples",
          "1",
          "--baseline",
          "js",
          "--chart",
          path,
        ];
        expect((await bpfjit(args)).code).toBe(0);
        const text = readFileSync(path, "utf8");
        expect(text).toContain("<svg ");
        expect(text).toContain(">hash-count</text>");
        expect(text).toContain("JavaScript by hand");
        expect(text.includes("<table>")).toBe(name === "chart.html");
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("what the machine has not is skipped, and said so", TIMEOUT, async () => {
    const args = ["bench", "counter", "--quick", "--samples", "1", "--baseline", "kernel-loop,js"];
    const { code, stdout, stderr } = await bpfjit([...args, "--json"], "", { CC: "/nonexistent/cc" });
    expect(code).toBe(0);
    expect(stderr).toMatch(/^skipped: kernel-loop: .* C compiler\n$/);
    expect(jsonLines(stdout).map(({ engine }) => engine)).toEqual(["bpfjit", "js"]);
    const text = await bpfjit(args, "", { CC: "/nonexistent/cc" });
    expect(text.stdout).not.toContain("kernel-loop");
  });

  test("says what was wanted of what it measured", TIMEOUT, async () => {
    const args = ["bench", "empty", "--samples", "1", "--baseline", "js"];
    expect((await bpfjit(args)).stdout).toMatch(/\ntargets: [01] of 1 met/);
    const rows = jsonLines((await bpfjit([...args, "--json"])).stdout);
    expect(rows.at(-1)).toMatchObject({ target: "the worst of these to js (empty)", wanted: "≤ 1.00" });
    expect((await bpfjit([...args, "--quick"])).stdout).not.toContain("targets");
  });

  test.each([
    [["bench", "nonsense"], "there is no workload nonsense"],
    [["bench", "--baseline", "nonsense"], "there is no baseline nonsense"],
    [["bench", "--opt", "4"], "there is no level 4"],
    [["bench", "--table", "nonsense"], "there is no table nonsense"],
    [["bench", "--chart", "x.png"], "a chart is written as .svg or .html"],
  ])("%j is wrong use", async (args, message) => {
    const { code, stderr } = await bpfjit(args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe("tables", () => {
  /** Columns that hold a number in every row. */
  const TABLES = {
    tracepoints: ["events", "ns", "perSecond"],
    compile: ["instructions", "verify", "first", "best", "engine", "load", "again"],
    maps: ["entries", "lookup", "update", "replace"],
    readers: ["ns", "perSecond"],
    latency: ["p50", "p99", "p999"],
    programs: ["programs", "nsPerEvent", "nsPerProgram"],
    processes: ["alone", "together", "times"],
    startup: ["ms"],
    memory: ["megabytes"],
    profile: ["without", "marked", "sampled", "more", "places"],
  } as const;

  test.each(Object.entries(TABLES))("%s", TIMEOUT, async (name, columns) => {
    const { code, stdout, stderr } = await bpfjit(["bench", "--table", name, "--quick", "--json"]);
    expect(stderr.replace(/^skipped: .*\n/gm, "")).toBe("");
    expect(code).toBe(0);
    const rows = jsonLines(stdout);
    expect(rows.length).toBeGreaterThan(1);
    for (const row of rows) {
      expect(row.table).toBe(name);
      for (const column of columns) expect(row[column], column).toBeTypeOf("number");
    }
  });

  test("--list names them all", async () => {
    const { stdout } = await bpfjit(["bench", "--list"]);
    for (const name of Object.keys(TABLES)) expect(stdout).toContain(`--table ${name}`);
    expect(stdout).toContain("\nexec-record\n");
  });

  test("as text, with its columns named", TIMEOUT, async () => {
    const { stdout } = await bpfjit(["bench", "--table", "programs", "--quick"]);
    expect(stdout).toMatch(/Several programs on one hook.*\nprograms +ns an event/);
  });
});
