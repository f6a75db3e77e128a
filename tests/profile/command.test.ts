/** `--profile` and `--stats` of the command: rows, files, what is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { repeatCapture } from "../../bench/capture.ts";
import { bpfjit, jsonLines } from "../command/command.ts";

const directory = mkdtempSync(join(tmpdir(), "bpfjit-profile-"));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string): string => join(directory, name);
// the capture alone takes a few ms, in which a busy machine may not let the sampler run at all
const capture = file("long.perf.data");
writeFileSync(capture, repeatCapture(readFileSync("examples/captures/sched.perf.data"), 50));
const RUNQLAT = ["examples/runqlat.bpf.o", "-i", capture, "--no-maps"] as const;
const PROTOCOLS = ["examples/protocols.bpf.o", "-p", "count_protocols", "--data-in", "examples/packets/udp-7777.bin"];

describe("run --profile", () => {
  it("gives a row for each program, helper and line; every run is counted", async () => {
    const { code, stdout } = await bpfjit([
      "run",
      ...RUNQLAT,
      "--profile",
      "--profile-interval",
      "20",
      "--stats",
      "--json",
    ]);
    expect(code).toBe(0);
    const rows = jsonLines(stdout);
    const programs = rows.filter(({ type }) => type === "profile");
    const stats = rows.filter(({ type, link }) => type === "stats" && link === null);
    expect(programs.map(({ program, runs }) => [program, runs]).sort()).toEqual(
      stats.map(({ program, runs }) => [program, runs]).sort(),
    );
    for (const row of programs)
      expect(Object.keys(row)).toEqual(["type", "object", "program", "runs", "samples", "ns", "nsPerRun", "share"]);
    for (const { ns } of stats) expect(ns).toBeGreaterThan(0);
    const lines = rows.filter(({ type }) => type === "profileLine");
    expect(lines.length).toBeGreaterThan(0);
    for (const { file: source, text } of lines) expect([source, typeof text]).toEqual(["./runqlat.bpf.c", "string"]);
    const [summary] = rows.filter(({ type }) => type === "profileSummary");
    const sum = (name: string): number => programs.reduce((total, row) => total + (row[name] as number), 0);
    expect([summary!.samples, summary!.ns]).toEqual([sum("samples"), sum("ns")]);
  });
});

describe("test-run --profile", () => {
  it("prints a table and writes the file", async () => {
    for (const name of ["out.folded", "out.cpuprofile"]) {
      const { code, stdout } = await bpfjit([
        "test-run",
        ...PROTOCOLS,
        "--repeat",
        "2000000",
        `--profile=${file(name)}`,
      ]);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^profile: [\d,]+ samples in/m);
      expect(stdout).toMatch(/^count_protocols +2,000,000 /m);
      expect(stdout).toMatch(/protocols\.bpf\.c:\d+ +\d+\.\d %/);
    }
    expect(readFileSync(file("out.folded"), "utf8")).toMatch(
      /^count_protocols;\S+protocols\.bpf\.c:\d+(;bpf_\w+)? \d+\n/,
    );
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file("out.cpuprofile"), "utf8"));
    expect(nodes[0].callFrame.functionName).toBe("(root)");
    expect(samples.length).toBe(timeDeltas.length);
  });

  it("refuses files of no known format, and objects that were built without", async () => {
    const unknown = await bpfjit(["test-run", ...PROTOCOLS, `--profile=${file("out.svg")}`]);
    expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringContaining("must end in .folded or .cpuprofile")]);
    const built = file("protocols.wasm");
    const testRun = ["test-run", built, ...PROTOCOLS.slice(1), "--profile"];
    await bpfjit(["build", PROTOCOLS[0]!, "-o", built]);
    const plain = await bpfjit(testRun);
    expect([plain.code, plain.stderr]).toEqual([2, expect.stringContaining("bpfjit build --profile")]);
    await bpfjit(["build", PROTOCOLS[0]!, "-o", built, "--profile"]);
    expect((await bpfjit([...testRun, "--repeat", "100"])).stdout).toMatch(/^count_protocols +100 /m);
  });
});
