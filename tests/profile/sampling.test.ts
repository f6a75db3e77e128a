/**
 * What samples say against what programs are known to spend: shares, stacks, and counts that are exact. A machine that is busy
 * otherwise lets the sampler sleep for long and its shares vary more: such tests are tried again.
 */
import { describe, expect, it } from "vitest";
import {
  createRuntime,
  type LinkedProgram,
  type Profile,
  type ProgramProfile,
  type Runtime,
} from "../../runtime/index.ts";
import type { ProgArrayMap } from "../../runtime/maps/index.ts";
import { placeEvents } from "../workers/events.ts";
import { calls, compileProfiled, helpers, jump, straight, twoLines } from "./programs.ts";

const CTX = new Uint8Array(16);

/** Runs the programs in turn for a while. */
async function sample(runtime: Runtime, programs: readonly LinkedProgram[], repeat = 2000): Promise<Profile> {
  const profiler = await runtime.startProfile({ intervalUs: 100 });
  const end = performance.now() + 600;
  while (performance.now() < end) for (const program of programs) program.testRun({ ctxIn: CTX, repeat });
  const profile = await profiler.stop();
  expect(profile.samples).toBeGreaterThan(200);
  return profile;
}

async function profileOf(...texts: readonly string[]): Promise<Profile> {
  await using runtime = createRuntime();
  const { programs } = await runtime.link(await compileProfiled(texts));
  return await sample(runtime, Object.values(programs));
}

/** The part of a program's samples that are at a line. */
const atLine = ({ lines, samples }: ProgramProfile, wanted: number): number =>
  (lines.find(({ line }) => line === wanted)?.samples ?? 0) / samples;

/** Within four standard deviations of so many samples, and 4 points for what counting by lines costs itself. */
function expectNear(found: number, wanted: number, samples: number): void {
  const tolerance = 4 * Math.sqrt((wanted * (1 - wanted)) / samples) + 0.04;
  expect(Math.abs(found - wanted), `${found}, not ${wanted} ± ${tolerance}`).toBeLessThan(tolerance);
}

function expectLines(program: ProgramProfile, wanted: Readonly<Record<number, number>>): void {
  for (const [line, share] of Object.entries(wanted)) expectNear(atLine(program, Number(line)), share, program.samples);
}

describe("shares", { retry: 3 }, () => {
  it("of two loops that do the same, 90 times and 10 times", async () => {
    const profile = await profileOf(twoLines("loops", 900, 100));
    expectLines(profile.programs[0]!, { 10: 0.9, 20: 0.1 });
    const { share, ns, lines } = profile.programs[0]!;
    expect(share).toBe(1);
    expect(lines.reduce((sum, line) => sum + line.ns, 0)).toBe(ns);
    expect(lines.find(({ line }) => line === 10)).toMatchObject({
      function: "loops",
      file: "test.c",
      text: "for (…) hash = mix(hash);",
    });
  });

  it("of two lines with no jump between them, of 9 and 1 parts", async () => {
    expectLines((await profileOf(straight("straight"))).programs[0]!, { 10: 0.9, 20: 0.1 });
  });

  it("of a helper at two lines", async () => {
    const profile = await profileOf(helpers("finds", 900, 0), helpers("both", 90, 90));
    const both = profile.programs.find(({ program }) => program === "both")!;
    const finds = profile.programs.find(({ program }) => program === "finds")!;
    expect(finds.helpers.map(({ helper }) => helper)).toEqual(["bpf_map_lookup_elem"]);
    // as long a lookup as in the program that does nothing else
    const alone = finds.helpers[0]!.ns / finds.runs / 900;
    const { runs } = both;
    const lookup = both.helpers.find(({ helper }) => helper === "bpf_map_lookup_elem")!;
    const update = both.helpers.find(({ helper }) => helper === "bpf_map_update_elem")!;
    expect(lookup.ns / runs / 90 / alone).toBeGreaterThan(0.6);
    expect(lookup.ns / runs / 90 / alone).toBeLessThan(1.7);
    expect(update.ns).toBeGreaterThan(lookup.ns);
    const line = both.lines.find(({ line }) => line === 20)!;
    expect(line.ns).toBeGreaterThanOrEqual(update.ns);
  });

  it("of two programs, and their time as the clock has it", async () => {
    await using runtime = createRuntime();
    const compiled = await compileProfiled([twoLines("long", 900, 1), twoLines("short", 300, 1)]);
    const { long, short } = (await runtime.link(compiled)).programs;
    const both = [long!, short!];
    for (const program of both) program.testRun({ ctxIn: CTX, repeat: 2000 });
    using _statistics = runtime.enableStats();
    const before = both.map(({ stats }) => stats);
    const profile = await sample(runtime, both);
    for (const [index, { name, stats }] of both.entries()) {
      const row = profile.programs.find(({ program }) => program === name)!;
      expect(row.runs).toBe(stats.runs - before[index]!.runs);
      const measured = stats.ns - before[index]!.ns;
      expect(row.ns / measured).toBeGreaterThan(0.7);
      expect(row.ns / measured).toBeLessThan(1.3);
    }
  });
});

describe("a stack", { retry: 3 }, () => {
  it("has the subprograms and callbacks that lead to a line", async () => {
    const { stacks, programs } = await profileOf(calls("calls"));
    const share = (wanted: readonly string[]): number => {
      const all = stacks.reduce((sum, { ns }) => sum + ns, 0);
      const found = stacks.filter(
        ({ frames }) => frames.map(({ function: name, line }) => `${name}:${line}`).join(" ") === wanted.join(" "),
      );
      return (found.reduce((sum, { ns }) => sum + ns, 0) / all) * 100;
    };
    // 300 rounds each; but those of one callback do not wait for those of the one before
    const inner = share(["calls:5", "outer:10", "inner:20"]);
    const body = share(["calls:6", "body:30"]) + share(["calls:6", "body:31"]);
    expect(inner).toBeGreaterThan(35);
    expect(body).toBeGreaterThan(10);
    expect(share(["calls:6"])).toBeLessThan(20);
    expect(inner + body).toBeGreaterThan(80);
    expect(programs).toHaveLength(1);
    for (const { frames } of stacks) expect(frames[0]!.function).toBe("calls");
  });
});

describe("counts", { retry: 3 }, () => {
  it("are of every entry: events, test runs, tail calls; time is the program's that is jumped to", async () => {
    await using runtime = createRuntime();
    const compiled = await compileProfiled([jump("first"), twoLines("second", 500, 1)]);
    const { programs, maps } = await runtime.link(compiled);
    const { first, second } = programs as Record<"first" | "second", LinkedProgram>;
    (maps.jumps as ProgArrayMap).setProgram(0, second);
    const link = first.attach();
    const profiler = await runtime.startProfile();
    for (let event = 0; event < 30; event++) link.hook.fire(CTX);
    first.testRun({ ctxIn: CTX, repeat: 100_000 });
    const { programs: rows } = await profiler.stop();
    const runs = Object.fromEntries(rows.map((row) => [row.program, row.runs]));
    expect(runs).toEqual({ first: 100_030, second: 100_030 });
    // the kernel counts the first only
    expect([first.stats.runs, second.stats.runs, link.runs]).toEqual([100_030, 0, 30]);
    expect(rows[0]!.program).toBe("second");
    expect(rows[0]!.share).toBeGreaterThan(0.9);
    const again = await (await runtime.startProfile()).stop();
    expect(again.programs).toEqual([]);
  });

  it("and samples of several workers are one profile", async () => {
    await using runtime = createRuntime({ cpus: 4, workers: 2 });
    const { programs } = await runtime.link(await compileProfiled([twoLines("loops", 900, 100)]));
    programs.loops!.attach();
    const events = placeEvents(runtime, 4000, (number) => ({ key: 0, number }));
    await runtime.crew!.start();
    const profiler = await runtime.startProfile({ intervalUs: 100 });
    await runtime.crew!.run(events, 4000, { times: 100 });
    const profile = await profiler.stop();
    const [row] = profile.programs;
    expect(row!.runs).toBe(400_000);
    const elapsed = runtime.crew!.takeElapsed().reduce((sum, ns) => sum + ns, 0n);
    expect(profile.ns / Number(elapsed)).toBeGreaterThan(0.7);
    expect(profile.ns / Number(elapsed)).toBeLessThan(1.3);
    expectLines(row!, { 10: 0.9, 20: 0.1 });
  });
});

describe("code that was not compiled to be profiled", () => {
  it("does not say where it is: all its time is outside", async () => {
    await using runtime = createRuntime();
    const compiled = await compileProfiled([twoLines("loops", 900, 100)], { optimize: 2 });
    const imports = WebAssembly.Module.imports(await WebAssembly.compile(compiled.wasm)).map(({ name }) => name);
    expect(imports).not.toContain("places");
    expect(imports).not.toContain("entries");
    const { programs } = await runtime.link(compiled);
    const profiler = await runtime.startProfile();
    programs.loops!.testRun({ ctxIn: CTX, repeat: 100_000 });
    const { samples, outside, programs: rows } = await profiler.stop();
    expect([samples, rows]).toEqual([0, []]);
    expect(outside.samples).toBeGreaterThan(10);
  });
});
