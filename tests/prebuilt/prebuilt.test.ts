/** Objects that are compiled ahead of time: they run as those that are compiled at load, without the compiler. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile, fileInput, type LoadedObject, load, openPerfData, verifyObject } from "../../api/index.ts";
import { loadPrebuilt } from "../../api/runtime.ts";
import { ObjectError, UsageError } from "../../base/index.ts";
import { attachManifest, readManifest } from "../../base/manifest.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const RUNQLAT = path("examples/runqlat.bpf.o");
const CAPTURE = path("examples/captures/sched.perf.data");

async function replay(object: LoadedObject): Promise<unknown> {
  const source = await openPerfData(fileInput(CAPTURE));
  const { events } = await object.run(source);
  const maps = Object.entries(object.maps).map(([name, map]) => [name, [...map.raw.entries()]]);
  object.close();
  return { events, maps };
}
const cpus = { runtimeOptions: { cpus: 2 } };

describe("a prebuilt object", () => {
  it("gives the same as the object that it was built of, whoever links it", async () => {
    const { wasm } = await compile(RUNQLAT);
    const expected = await replay(await load(RUNQLAT, cpus));
    expect(await replay(await loadPrebuilt(wasm, cpus))).toEqual(expected);
    expect(await replay(await load(wasm, cpus))).toEqual(expected);
  });

  it("can be linked in part", async () => {
    const { wasm } = await compile(RUNQLAT);
    await using object = await loadPrebuilt(wasm, { programs: ["handle_switch"] });
    expect(Object.keys(object.programs)).toEqual(["handle_switch"]);
    await expect(loadPrebuilt(wasm, { programs: ["absent"] })).rejects.toThrow(UsageError);
  });

  it("is refused where it is damaged, of another version, or no module at all", async () => {
    const { wasm, manifest } = await compile(RUNQLAT);
    const end = WebAssembly.Module.customSections(new WebAssembly.Module(wasm as Uint8Array<ArrayBuffer>), "bpfjit");
    expect(end.length).toBe(1);
    const code = wasm.subarray(0, wasm.length - end[0]!.byteLength - 16);
    const other = attachManifest(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), { ...manifest, abiVersion: 999 });
    const cut = wasm.slice(0, wasm.length - 100);
    for (const bytes of [cut, code, other, Uint8Array.of(1, 2, 3), new Uint8Array(0)]) {
      await expect(loadPrebuilt(bytes)).rejects.toMatchObject({ code: "ARTIFACT_MALFORMED" });
    }
    const flipped = wasm.slice();
    flipped[200]! ^= 0xff;
    await expect(loadPrebuilt(flipped)).rejects.toThrow(ObjectError);
    await expect(loadPrebuilt("/nowhere.wasm")).rejects.toMatchObject({ code: "INPUT_UNREADABLE" });
    expect(readManifest(wasm).name).toBe(manifest.name);
    await expect(verifyObject(wasm)).rejects.toThrow(ObjectError);
  });

  it("needs nothing of the compiler", () => {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const follow = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      const text = readFileSync(file, "utf8");
      for (const [, types, target] of text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+"([^"]+)";/gms)) {
        if (types !== undefined) continue;
        if (target!.startsWith(".")) follow(resolve(dirname(file), target!));
        else packages.add(target!);
      }
    };
    follow(path("api/runtime.ts"));
    expect([...seen].filter((file) => file.includes("/compiler/"))).toEqual([]);
    expect([...packages].filter((name) => !name.startsWith("node:"))).toEqual([]);
    expect(seen.size).toBeGreaterThan(50);
  });
});
