/** `bpfjit run`: records, maps and the summary as the contract says, from files, from a pipe, from damaged captures. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bpfjit, jsonLines, ROOT } from "./command.ts";

const CAPTURE = "examples/captures/sched.perf.data";

describe("bpfjit run", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bpfjit-run-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(["execlog", "runqlat", "opens"])("prints the same of %s with any number of workers", async (object) => {
    const [alone, two] = await Promise.all(
      ["0", "2"].map((workers) =>
        bpfjit(["run", `examples/${object}.bpf.o`, "--input", CAPTURE, "--json", "--workers", workers]),
      ),
    );
    const lines = ({ stdout }: { readonly stdout: string }) =>
      stdout.split("\n").filter((line) => !line.includes('"summary"'));
    expect(lines(two!)).toEqual(lines(alone!));
    expect([two!.code, two!.stderr]).toEqual([0, alone!.stderr.length > 0 ? expect.any(String) : ""]);
  });

  it("prints records, maps and a summary, one JSON value a line", async () => {
    const { code, stdout, stderr } = await bpfjit(["run", "examples/execlog.bpf.o", "--input", CAPTURE, "--json"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = jsonLines(stdout);
    const records = lines.filter((line) => line.type === "record");
    expect(records[0]).toEqual({
      type: "record",
      map: "records",
      cpu: null,
      time: null,
      data: expect.stringMatching(/^([0-9a-f]{2})+$/),
      fields: expect.objectContaining({ kind: "PROCESS_EXEC", comm: expect.any(String), pid: expect.any(Number) }),
    });
    expect(lines.find((line) => line.type === "map")).toEqual({
      type: "map",
      name: "started",
      entries: expect.any(Array),
    });
    expect(lines.at(-1)).toEqual({
      type: "summary",
      events: expect.any(Number),
      seconds: expect.any(Number),
      eventsPerSecond: expect.any(Number),
      records: records.length,
      lost: 0,
    });
  });

  it("gives the same from perf's pipe on standard input", async () => {
    const args = ["run", "examples/countcomm.bpf.o", "--json"];
    const fromPipe = await bpfjit(
      [...args, "--input", "-"],
      readFileSync(join(ROOT, "examples/captures/sched.pipe.perf.data")),
    );
    const fromFile = await bpfjit([...args, "--input", "examples/captures/sched.pipe.perf.data"]);
    expect(fromPipe.code).toBe(0);
    expect(jsonLines(fromPipe.stdout)[0]).toEqual(jsonLines(fromFile.stdout)[0]);
  });

  it("gives the same bytes every time", async () => {
    const args = ["run", "examples/opens.bpf.o", "--input", CAPTURE, "--json"];
    const once = jsonLines((await bpfjit(args)).stdout).slice(0, -1);
    const again = jsonLines((await bpfjit(args)).stdout).slice(0, -1);
    expect(once.length).toBeGreaterThan(100);
    expect(again).toEqual(once);
  });

  it("draws histograms and tables for people", async () => {
    const { code, stdout, stderr } = await bpfjit(["run", "examples/runqlat.bpf.o", "--input", CAPTURE]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/4 \.\. +7 +\d+ +█/);
    expect(stderr).toMatch(/events in .* lost/);
  });

  it("says nothing on standard error in a quiet run", async () => {
    const { stderr } = await bpfjit(["run", "examples/countcomm.bpf.o", "--input", CAPTURE, "-q"]);
    expect(stderr).toBe("");
  });

  it("runs what a truncated capture holds, then exits with 2", async () => {
    const whole = readFileSync(join(ROOT, "examples/captures/sched.pipe.perf.data"));
    const path = join(folder, "cut.perf.data");
    writeFileSync(path, whole.subarray(0, Math.floor(whole.length * 0.7)));
    const { code, stdout, stderr } = await bpfjit(["run", "examples/countcomm.bpf.o", "--input", path, "--json"]);
    expect(code).toBe(2);
    expect(stderr).toContain("CAPTURE_TRUNCATED");
    expect(jsonLines(stdout).at(-1)?.events).toBeGreaterThan(0);
  });

  it.each([
    { what: "no capture at all", capture: "examples/execlog.bpf.c", code: 2, says: "CAPTURE_MALFORMED" },
    { what: "a missing file", capture: "nowhere.perf.data", code: 2, says: "INPUT_UNREADABLE" },
  ])("names $what", async ({ capture, code, says }) => {
    const result = await bpfjit(["run", "examples/countcomm.bpf.o", "--input", capture]);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(says);
    expect(result.stderr).not.toMatch(/\n\s+at .*\.js:/);
  });

  it("names a map, a struct or a program that is not there", async () => {
    for (const extra of [
      ["--map", "nope"],
      ["--type", "records=nope"],
      ["--type", "nope=record"],
      ["--prog", "nope"],
    ]) {
      const { code, stderr } = await bpfjit(["run", "examples/execlog.bpf.o", "--input", CAPTURE, ...extra]);
      expect({ code, names: stderr.includes("nope") }).toEqual({ code: 2, names: true });
    }
  });

  it("says which event a program waits for in vain", async () => {
    const { code, stderr } = await bpfjit([
      "run",
      "bench/workloads/workloads.bpf.o",
      "--prog",
      "counter",
      "--input",
      CAPTURE,
    ]);
    expect(code).toBe(0);
    expect(stderr).toContain("bench/event");
    expect(stderr).toContain("CAPTURE_EVENT_MISSING");
  });
});
