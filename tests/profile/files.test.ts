/** What --profile=FILE writes, read as other tools read it, is what the rows say. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { bpfjit, jsonLines } from "../command/command.ts";
import { readCpuProfile } from "./cpu-profile.ts";

const directory = mkdtempSync(join(tmpdir(), "bpfjit-profile-"));
afterAll(() => rmSync(directory, { recursive: true }));
const PROTOCOLS = ["examples/protocols.bpf.o", "-p", "count_protocols", "--data-in", "examples/packets/udp-7777.bin"];

type Row = Readonly<Record<string, unknown>>;
const number = (row: Row, key: string): number => row[key] as number;

/** The rows of a profile, and the file of the same one. */
async function profiled(name: string): Promise<{ readonly rows: readonly Row[]; readonly text: string }> {
  const path = join(directory, name);
  const args = ["test-run", ...PROTOCOLS, "--repeat", "10000000", `--profile=${path}`, "--profile-interval", "100"];
  const { code, stdout } = await bpfjit([...args, "--json"]);
  expect(code).toBe(0);
  return { rows: jsonLines(stdout), text: readFileSync(path, "utf8") };
}

const ofType = (rows: readonly Row[], type: string): readonly Row[] => rows.filter((row) => row.type === type);

describe("a file of a profile", () => {
  it("folded: every stack ends in a number of ns, by program, lines and helpers as in the rows", async () => {
    const { rows, text } = await profiled("out.folded");
    const stacks = text
      .trimEnd()
      .split("\n")
      .map((line) => {
        const [, frames, ns] = /^(\S+) (\d+)$/.exec(line)!;
        return { frames: frames!.split(";"), ns: Number(ns) };
      });
    const nsOf = (isIn: (frames: readonly string[]) => boolean): number =>
      stacks.reduce((sum, { frames, ns }) => sum + (isIn(frames) ? ns : 0), 0);
    const [summary] = ofType(rows, "profileSummary");
    expect(number(summary!, "samples")).toBeGreaterThan(100);
    // a line is rounded to a ns
    expect(Math.abs(nsOf(() => true) - number(summary!, "ns"))).toBeLessThanOrEqual(stacks.length);
    for (const row of ofType(rows, "profile"))
      expect(nsOf(([program]) => program === row.program)).toBeCloseTo(number(row, "ns"), -2);
    for (const row of ofType(rows, "profileLine"))
      expect(
        nsOf((frames) => frames.includes(`${row.file}:${row.line}`)),
        `line ${row.line}`,
      ).toBeCloseTo(number(row, "ns"), -2);
    for (const row of ofType(rows, "profileHelper"))
      expect(nsOf((frames) => frames.at(-1) === row.helper)).toBeCloseTo(number(row, "ns"), -2);
  });

  it(".cpuprofile: a tree that viewers take, its time and its ticks by line as in the rows", async () => {
    const { rows, text } = await profiled("out.cpuprofile");
    const { self, total, ticks, hits, microseconds } = readCpuProfile(text);
    const [summary] = ofType(rows, "profileSummary");
    expect(hits).toBe(number(summary!, "samples"));
    // each stack is rounded to a µs
    expect(Math.abs(microseconds - number(summary!, "ns") / 1000)).toBeLessThanOrEqual(1);
    for (const row of ofType(rows, "profile"))
      expect(Math.abs(total.get(row.program as string)! - number(row, "ns") / 1000)).toBeLessThanOrEqual(1);
    const lines = ofType(rows, "profileLine");
    for (const row of lines) expect(ticks.get(`${row.file}:${row.line}`), `line ${row.line}`).toBe(row.samples);
    for (const row of ofType(rows, "profileHelper"))
      expect(Math.abs(self.get(row.helper as string)! - number(row, "ns") / 1000)).toBeLessThanOrEqual(lines.length);
  });
});
