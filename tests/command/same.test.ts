/** The same capture gives the same bytes of output: at every level, with tiers, from a prebuilt object, with any number of workers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { bpfjit } from "./command.ts";

const CAPTURE = "examples/captures/sched.perf.data";
const WAYS = [
  ["--opt", "0"],
  ["--opt", "1"],
  ["--opt", "2"],
  ["--opt", "3"],
  [],
  ["--workers", "1"],
  ["--workers", "2"],
];

const folder = mkdtempSync(join(tmpdir(), "bpfjit-same-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What is printed, but for the last line: it says how long the run took. */
async function output(object: string, options: readonly string[]): Promise<string> {
  const { code, stdout } = await bpfjit(["run", object, "--input", CAPTURE, "--json", ...options]);
  expect([code, options]).toEqual([0, options]);
  const end = stdout.lastIndexOf("\n", stdout.length - 2);
  expect(stdout.slice(end + 1)).toContain('"summary"');
  return stdout.slice(0, end + 1);
}

test.each(["countcomm", "runqlat", "opens", "execlog"])("%s", { timeout: 120_000 }, async (name) => {
  const object = `examples/${name}.bpf.o`;
  const first = await output(object, ["--opt", "2", "--workers", "0"]);
  expect(first.length).toBeGreaterThan(500);
  for (const options of WAYS) expect(await output(object, options), options.join(" ")).toBe(first);
  const built = join(folder, `${name}.wasm`);
  expect((await bpfjit(["build", object, "-o", built])).code).toBe(0);
  expect(await output(built, ["--workers", "2"])).toBe(first);
});
