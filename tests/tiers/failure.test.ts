/** Optimising that fails: what runs goes on, and somebody is told. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it, vi } from "vitest";
import { load } from "../../api/index.ts";
import type { OptimizeJob } from "../../api/tiers/optimizer.ts";
import { UnsupportedError } from "../../base/index.ts";
import { VERY_LARGE_FUNCTION } from "../../compiler/index.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../examples/${name}`, import.meta.url));
const dataIn = readFileSync(path("packets/udp-7777.bin"));
let result: () => Promise<Uint8Array>;
let isTooLarge = false;
vi.mock("../../api/compilation.ts", async (original) => {
  const real = await original<typeof import("../../api/compilation.ts")>();
  const verifyAndLower: typeof real.verifyAndLower = async (compilation) => {
    if (!isTooLarge || compilation.optimize > 0) return real.verifyAndLower(compilation);
    throw new UnsupportedError("UNSUPPORTED_FEATURE", VERY_LARGE_FUNCTION, "a function takes 8000000 bytes");
  };
  return { ...real, verifyAndLower };
});
vi.mock("../../api/tiers/optimizer.ts", () => ({
  optimizeInBackground: (): OptimizeJob => ({ wasm: result(), hold: () => {}, cancel: () => {} }),
}));
afterEach(() => vi.restoreAllMocks());

it.each([
  ["compiling fails", () => Promise.reject(new Error("no memory")), /no memory/],
  ["what comes is no module", async () => Uint8Array.of(1, 2, 3), /not valid WebAssembly/],
])("is told where %s", async (_what, job, message) => {
  result = job;
  const onOptimizeError = vi.fn();
  await using object = await load(path("protocols.bpf.o"), { onOptimizeError });
  await expect(object.optimized()).rejects.toThrow(message);
  expect(onOptimizeError).toHaveBeenCalledOnce();
  expect(object.tier).toBe("first");
  expect(object.program("count_protocols").testRun({ dataIn }).retval).toBe(1);
});

it("is a warning of the process where nobody asked to be told", async () => {
  result = () => Promise.reject(new Error("no memory"));
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  await using object = await load(path("protocols.bpf.o"));
  await expect(object.optimized()).rejects.toThrow("no memory");
  expect(warn).toHaveBeenCalledOnce();
});

it("does not keep an object from running whose first tier would be too large for the engine", async () => {
  isTooLarge = true;
  await using object = await load(path("protocols.bpf.o"));
  isTooLarge = false;
  expect(object.tier).toBe("fixed");
  expect(object.program("count_protocols").testRun({ dataIn }).retval).toBe(1);
});
