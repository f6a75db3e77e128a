/** Linking: what is refused before anything runs, what a failed link leaves behind, reuse of maps, the end of an object. */
import { describe, expect, it } from "vitest";
import { createRuntime, type LinkedObject, type Runtime } from "../../runtime/index.ts";
import type { CompiledObject, MapSpec } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { compile } from "./compile.ts";
import { handMadeObject, OP } from "./module.ts";

const RETURN_7 = [OP.i64Const, 7];
const STORE = (value: number): string => `
; prog: socket_filter name=store
; map: out array key=4 value=8 max=1
  r7 = map[out][0] ll
  r1 = ${value}
  *(u64 *)(r7 + 0) = r1
  r0 = 0
  exit
`;
const PACKET = new Uint8Array(14);

const array = (name: string, detail: Partial<MapSpec> = {}): MapSpec =>
  mapSpec({ name, type: "array", keySize: 4, valueSize: 8, maxEntries: 1, ...detail });
const first = (object: LinkedObject, map: string): number =>
  Buffer.from(object.maps[map]!.lookup(new Uint8Array(4)) as Uint8Array).readUInt32LE(0);

/** What linking says, and that it left no memory behind. */
async function refusal(runtime: Runtime, compiled: CompiledObject): Promise<unknown> {
  const before = runtime.world.arena.usedBytes;
  const error = await runtime.link(compiled).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(runtime.world.arena.usedBytes).toBe(before);
  return error;
}

describe("link", () => {
  it("runs a module and gives its programs by name", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(handMadeObject("seven", { body: RETURN_7 }));
    expect(Object.keys(object.programs)).toEqual(["seven"]);
    expect(object.programs.seven!.testRun()).toMatchObject({ retval: 7, r0: 7n });
  });

  it("keeps names from outside apart from an object's own", async () => {
    await using runtime = createRuntime();
    const name = "__proto__";
    const object = await runtime.link(handMadeObject(name, { body: RETURN_7 }));
    expect(object.programs.constructor).toBeUndefined();
    expect(object.programs[name]!.testRun().retval).toBe(7);
  });

  it("refuses a module of another version", async () => {
    await using runtime = createRuntime();
    const { wasm, manifest } = handMadeObject("seven", { body: RETURN_7 });
    const error = await refusal(runtime, { wasm, manifest: { ...manifest, abiVersion: 999 } });
    expect(error).toMatchObject({ name: "ObjectError", code: "ARTIFACT_MALFORMED" });
  });

  it("refuses bytes that are no module", async () => {
    await using runtime = createRuntime();
    const { manifest } = handMadeObject("seven", { body: RETURN_7 });
    const error = await refusal(runtime, { wasm: Uint8Array.of(1, 2, 3), manifest });
    expect(error).toMatchObject({ name: "ObjectError", code: "ARTIFACT_MALFORMED" });
  });

  it("names a helper that is not implemented, and who calls it", async () => {
    await using runtime = createRuntime();
    const compiled = handMadeObject(
      "caller",
      { body: RETURN_7, imports: [["helper", "bpf_get_stackid"]] },
      { program: { helpers: ["bpf_get_stackid"] }, maps: [array("made")] },
    );
    expect(await refusal(runtime, compiled)).toMatchObject({
      name: "UnsupportedError",
      code: "UNSUPPORTED_HELPER",
      feature: "bpf_get_stackid",
      where: { program: "caller" },
    });
  });

  it.each([
    ["env", "elsewhere"],
    ["map", "0"],
    ["library", "nothing"],
    ["host", "nothing"],
    ["other", "thing"],
  ])("refuses an import of %s.%s", async (from, name) => {
    await using runtime = createRuntime();
    const compiled = handMadeObject("importer", { body: RETURN_7, imports: [[from, name]] });
    expect(await refusal(runtime, compiled)).toMatchObject({ code: "ARTIFACT_MALFORMED" });
  });

  it("refuses maps as the kernel would, and closes those made before", async () => {
    await using runtime = createRuntime();
    const compiled = handMadeObject(
      "seven",
      { body: RETURN_7 },
      { maps: [array("good"), array("bad", { keySize: 3 })] },
    );
    expect(await refusal(runtime, compiled)).toMatchObject({ code: "MAP_CREATE", errno: "EINVAL" });
    const trie = { program: { maps: [0] }, maps: [array("trie", { type: "lpm_trie" })] };
    const missing = handMadeObject("seven", { body: RETURN_7 }, trie);
    expect(await refusal(runtime, missing)).toMatchObject({ code: "UNSUPPORTED_MAP_TYPE" });
  });

  it("takes a map of a type that it has not where no program uses it, and says so to who asks for its contents", async () => {
    await using runtime = createRuntime();
    const trie = { maps: [array("trie", { type: "lpm_trie" })] };
    await using object = await runtime.link(handMadeObject("seven", { body: RETURN_7 }, trie));
    expect(object.programs.seven!.testRun({ ctxIn: PACKET }).retval).toBe(7);
    const map = object.maps.trie!;
    expect([...map.entries()]).toEqual([]);
    expect(() => map.lookup(new Uint8Array(map.keySize))).toThrow(
      expect.objectContaining({ code: "UNSUPPORTED_MAP_TYPE" }),
    );
    const value = new Uint8Array(map.valueSize);
    expect(() => map.update(new Uint8Array(map.keySize), value)).toThrow("bpfjit has no map of type lpm_trie");
  });

  it("puts a map in place of one of the object's own", async () => {
    await using runtime = createRuntime();
    const shared = runtime.createMap(array("shared"));
    await using one = await runtime.link(await compile(STORE(1)), { reuse: { out: shared } });
    await using two = await runtime.link(await compile(STORE(2)), { reuse: { out: shared } });
    one.programs.store!.testRun({ dataIn: PACKET });
    expect(first(two, "out")).toBe(1);
    two.programs.store!.testRun({ dataIn: PACKET });
    expect(first(one, "out")).toBe(2);
    one.close();
    expect(shared.closed).toBe(false);
    const other = handMadeObject("seven", { body: RETURN_7 }, { maps: [array("out", { maxEntries: 2 })] });
    await expect(runtime.link(other, { reuse: { out: shared } })).rejects.toMatchObject({
      code: "MAP_CREATE",
    });
  });

  it("gives everything back when the object is closed", async () => {
    await using runtime = createRuntime();
    const compiled = await compile(STORE(1));
    const warm = await runtime.link(compiled);
    warm.programs.store!.testRun({ dataIn: PACKET });
    warm.close();
    const before = runtime.world.arena.usedBytes;
    const object = await runtime.link(compiled);
    object.programs.store!.testRun({ dataIn: PACKET });
    object.close();
    object.close();
    expect(runtime.world.arena.usedBytes).toBe(before);
    expect(() => object.programs.store!.testRun({ dataIn: PACKET })).toThrow(
      expect.objectContaining({ code: "CLOSED" }),
    );
    expect(() => object.maps.out!.lookup(new Uint8Array(4))).toThrow(expect.objectContaining({ code: "CLOSED" }));
  });

  it("keeps two runtimes apart", async () => {
    await using here = createRuntime();
    await using there = createRuntime();
    const compiled = await compile(STORE(9));
    const [one, two] = [await here.link(compiled), await there.link(compiled)];
    one.programs.store!.testRun({ dataIn: PACKET });
    expect([first(one, "out"), first(two, "out")]).toEqual([9, 0]);
  });

  it("refuses to link into a runtime that is closed", async () => {
    const runtime = createRuntime();
    const object = await runtime.link(handMadeObject("seven", { body: RETURN_7 }));
    await runtime[Symbol.asyncDispose]();
    expect(object.closed).toBe(true);
    await expect(runtime.link(handMadeObject("seven", { body: RETURN_7 }))).rejects.toMatchObject({ code: "CLOSED" });
  });
});
