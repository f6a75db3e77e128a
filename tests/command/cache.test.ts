/** `--cache DIR` and BPFJIT_CACHE: where run, test-run and build keep what they compiled. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { bpfjit, jsonLines } from "./command.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bpfjit-cache-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

it("keeps one entry for commands that compile the same, whoever names the directory", async () => {
  const cache = join(folder, "made", "here");
  const wasm = ["a.wasm", "b.wasm"].map((name) => join(folder, name)) as [string, string];
  const build = ["build", "examples/protocols.bpf.o", "-q", "-o"];
  expect((await bpfjit([...build, wasm[0], "--cache", cache])).code).toBe(0);
  expect(readdirSync(cache).length).toBe(1);
  vi.stubEnv("BPFJIT_CACHE", cache);
  expect((await bpfjit([...build, wasm[1]])).code).toBe(0);
  expect(readFileSync(wasm[0]).equals(readFileSync(wasm[1]))).toBe(true);
  const args = ["--prog", "count_protocols", "--data-in", "examples/packets/udp-7777.bin", "--json"];
  for (const _time of ["missed", "hit"]) {
    const { stdout } = await bpfjit(["test-run", "examples/protocols.bpf.o", ...args]);
    expect(jsonLines(stdout)).toMatchObject([{ retval: 1 }]);
  }
  // of protocols.bpf.o that is all there is to load
  expect(readdirSync(cache).length).toBe(1);
});

it("keeps nothing where the environment names none", async () => {
  vi.stubEnv("BPFJIT_CACHE", "");
  const run = ["run", "examples/execlog.bpf.o", "-i", "examples/captures/sched.perf.data", "--json"];
  const expected = await bpfjit(run);
  const cache = join(folder, "cache");
  const summary = /\{"type":"summary".*/;
  for (const _time of ["missed", "hit"]) {
    const { stdout } = await bpfjit([...run, "--cache", cache]);
    expect(stdout.replace(summary, "")).toBe(expected.stdout.replace(summary, ""));
  }
  expect(readdirSync(folder)).toEqual(["cache"]);
});
