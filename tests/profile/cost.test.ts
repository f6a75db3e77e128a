/** Off costs nothing: code that is not to be profiled is the same as ever, and has nothing of what profiling adds. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compile } from "../../api/index.ts";
import { asset } from "../../bench/assets.ts";
import type { OptimizeLevel } from "../../compiler/index.ts";

const OBJECTS = ["bench/workloads/tools", "examples/runqlat", "examples/protocols", "examples/opens"] as const;
const LEVELS: readonly OptimizeLevel[] = [0, 2];
const ADDED = ["places", "entries"] as const;

test.each(OBJECTS)("%s", { timeout: 120_000 }, async (name) => {
  const bytes = readFileSync(asset(`${name}.bpf.o`));
  const wasmOf = async (optimize: OptimizeLevel, profile?: boolean): Promise<Uint8Array> =>
    (await compile(bytes, { optimize, ...(profile !== undefined && { profile }) })).wasm;
  const names = async (wasm: Uint8Array): Promise<readonly string[]> =>
    WebAssembly.Module.imports(await WebAssembly.compile(wasm)).map((each) => each.name);
  for (const optimize of LEVELS) {
    const plain = await wasmOf(optimize);
    const off = await wasmOf(optimize, false);
    const on = await wasmOf(optimize, true);
    expect(Buffer.compare(plain, off)).toBe(0);
    expect((await names(plain)).some((each) => (ADDED as readonly string[]).includes(each))).toBe(false);
    expect(await names(on)).toEqual(expect.arrayContaining([...ADDED]));
    expect(on.length).toBeGreaterThan(plain.length);
    // compiling one way leaves nothing for the other
    expect(Buffer.compare(await wasmOf(optimize), plain)).toBe(0);
  }
});
