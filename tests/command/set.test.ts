/** `--set`: what the user space of a tool would set between opening and loading its object. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { bpfjit, jsonLines } from "./command.ts";

const OBJECT = "tests/object/fixtures/open.bpf.o";
const SIZES = ["--set", "sized_later.max_entries=8", "--set", "ring.max_entries=0x1000"];
let folder: string;
let packet: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bpfjit-set-"));
  packet = join(folder, "packet");
  writeFileSync(packet, new Uint8Array(64));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const testRun = (object: string, args: readonly string[]) =>
  bpfjit(["test-run", object, "--prog", "reads", "--data-in", packet, "--json", ...args]);
const setAll = (...pairs: string[]): string[] => [...SIZES, ...pairs.flatMap((pair) => ["--set", pair])];

it("gives maps their sizes and variables their values, members of structs too", async () => {
  const { code, stdout } = await testRun(OBJECT, setAll("targ_pid=2"));
  expect([code, jsonLines(stdout)[0]]).toMatchObject([0, { retval: 42 }]);
  const members = [
    "filter.mode=MODE_ON",
    "filter.pid=100",
    "filter.high=3",
    "filter.inner.limits.2=0x10",
    "name=b",
    "verbose=true",
  ];
  expect(jsonLines((await testRun(OBJECT, setAll(...members))).stdout)[0]).toMatchObject({ retval: 119 });
});

it("is taken by build, and then cannot change any more", async () => {
  const wasm = join(folder, "open.wasm");
  expect((await bpfjit(["build", OBJECT, "-o", wasm, "-p", "reads", ...setAll("targ_pid=3")])).code).toBe(0);
  expect(jsonLines((await testRun(wasm, [])).stdout)[0]).toMatchObject({ retval: 43 });
  const late = await testRun(wasm, ["--set", "targ_pid=4"]);
  expect([late.code, late.stderr]).toEqual([2, expect.stringContaining("compiled ahead of time")]);
});

it("is what a map without a size asks for", async () => {
  const { code, stderr } = await testRun(OBJECT, []);
  expect([code, stderr]).toEqual([1, expect.stringContaining("--set MAP.max_entries=N")]);
});

it.each([
  ["targ_pid", "--set takes NAME=VALUE"],
  ["absent=1", "it has targ_pid"],
  ["targ_pid=x", "x is no number"],
  ["targ_pid=0x1ffffffff", "targ_pid"],
  ["filter.absent=1", "absent"],
  ["targ_pid.pid=1", "targ_pid has no members"],
  ["sized_later.max_entries=-1", "must be a whole number"],
])("refuses %s", async (pair, message) => {
  const { code, stderr } = await testRun(OBJECT, setAll(pair));
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
});
