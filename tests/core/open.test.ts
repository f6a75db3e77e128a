/** An object between open and load: what can be set, what it does to the programs, what is refused. */
import { describe, expect, it } from "vitest";
import { load, type OpenObject, openObject, verifyObject } from "../../api/index.ts";
import { BpfError, MapError, UnsupportedError, UsageError } from "../../base/index.ts";
import { fixture, fixtureBytes } from "../object/libbpf.ts";

const open = (): Promise<OpenObject> => openObject(fixture("open"));
const PACKET = new Uint8Array(64);

/** Loads `reads` alone, with the map sized, and runs it once. */
async function run(object: OpenObject): Promise<number> {
  object.select(["reads"]);
  object.map("sized_later").maxEntries ||= 8;
  object.map("ring").maxEntries ||= 4096;
  await using loaded = await object.load();
  return loaded.program("reads").testRun({ dataIn: PACKET }).retval;
}

function failureOf(action: () => unknown): BpfError | null {
  try {
    action();
    return null;
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}

describe("variables", () => {
  it("have the values of the file, by their C types", async () => {
    const { rodata, data, bss } = await open();
    expect({ ...rodata, filter: null }).toEqual({
      targ_pid: 0,
      verbose: false,
      wide: -1n,
      name: "default",
      filter: null,
    });
    expect(
      JSON.parse(JSON.stringify(rodata.filter, (_, value) => (typeof value === "bigint" ? Number(value) : value))),
    ).toEqual({
      pid: 1,
      low: 0,
      high: 0,
      mode: "MODE_OFF",
      inner: { comm: "", limits: { 0: 0, 1: 0, 2: 0 } },
      whole: 0,
      half: { 0: 0, 1: 0 },
    });
    expect(data.start).toBe(40n);
    expect(bss.seen).toBe(0);
    expect("seen" in bss && !("unseen" in bss)).toBe(true);
    expect(Object.keys((await open()).variables(".data.table"))).toEqual(["table"]);
    expect({ ...(await open()).variables(".rodata.none") }).toEqual({});
  });

  it("may be set, as a whole or in part", async () => {
    const object = await open();
    const { rodata } = object;
    rodata.targ_pid = 7;
    rodata.verbose = true;
    rodata.wide = -(2n ** 63n);
    rodata.name = "sixteen letters!";
    rodata.filter.low = 5;
    rodata.filter.high = 31;
    rodata.filter.mode = "MODE_AUTO";
    rodata.filter.inner.comm = "bash";
    rodata.filter.inner.limits[1] = 2n ** 64n - 1n;
    rodata.filter.half[1] = 1;
    expect(rodata.targ_pid).toBe(7);
    expect(rodata.verbose).toBe(true);
    expect(rodata.wide).toBe(-(2n ** 63n));
    expect(rodata.name).toBe("sixteen letters!");
    expect([rodata.filter.low, rodata.filter.high, rodata.filter.pid]).toEqual([5, 31, 1]);
    expect(rodata.filter.mode).toBe("MODE_AUTO");
    expect(rodata.filter.inner.comm).toBe("bash");
    expect(rodata.filter.inner.limits[1]).toBe(2n ** 64n - 1n);
    expect(rodata.filter.whole).toBe(2n ** 32n);
    rodata.filter = { pid: 9, inner: { limits: [1n] } };
    expect([rodata.filter.pid, rodata.filter.low, rodata.filter.inner.limits[0]]).toEqual([9, 0, 1n]);
    object.data = { start: 2n };
    expect(object.data.start).toBe(2n);
    // Another object of the same bytes is untouched.
    const bytes = Buffer.from(fixtureBytes("open"));
    const [first, second] = [await openObject(bytes), await openObject(bytes)];
    first.rodata.targ_pid = 1;
    expect(second.rodata.targ_pid).toBe(0);
    expect(bytes.equals(fixtureBytes("open"))).toBe(true);
  });

  it("reach the programs", async () => {
    expect(await run(await open())).toBe(40);
    const shifted = await open();
    shifted.rodata.targ_pid = 3;
    shifted.data.start = 100n;
    expect(await run(shifted)).toBe(103);
    const filtered = await open();
    filtered.rodata.filter = { pid: 10, high: 2, mode: "MODE_ON", inner: { limits: [0n, 0n, 30n] } };
    expect(await run(filtered)).toBe(42);
  });

  it("refuse what does not fit, by name", async () => {
    const object = await open();
    const { rodata } = object;
    const wrong: [() => void, typeof BpfError, string][] = [
      [() => (rodata.targ_pdi = 1), UsageError, "targ_pdi"],
      [() => (rodata.targ_pid = "x"), MapError, "targ_pid"],
      [() => (rodata.targ_pid = 2 ** 32), MapError, "targ_pid"],
      [() => (rodata.targ_pid = -1), MapError, "targ_pid"],
      [() => (rodata.targ_pid = undefined), MapError, "targ_pid"],
      [() => (rodata.name = "more than sixteen"), MapError, "name"],
      [() => (rodata.filter.high = 32), MapError, "high"],
      [() => (rodata.filter.nothing = 1), UsageError, "nothing"],
      [() => (rodata.filter.inner.limits[3] = 1n), UsageError, "limits"],
      [() => (rodata.filter.mode = "MODE_NONE"), MapError, "mode"],
      [() => (rodata.filter = { pdi: 1 }), MapError, "pdi"],
      [() => delete rodata.targ_pid, UsageError, "targ_pid"],
      [() => (object.kconfig.LINUX = 1), UsageError, "LINUX"],
    ];
    for (const [action, kind, name] of wrong) {
      const error = failureOf(action);
      expect(error, String(action)).toBeInstanceOf(kind);
      expect(error!.message).toContain(name);
    }
    expect(failureOf(() => (rodata.targ_pdi = 1))!.hint).toContain("targ_pid");
    expect(rodata.targ_pid).toBe(0);
  });
});

describe("maps", () => {
  it("get their sizes, flags and pin names", async () => {
    const object = await open();
    const map = object.map("sized_later");
    expect([map.maxEntries, map.keySize, map.valueSize, map.type, map.pinName]).toEqual([0, 4, 8, "hash", null]);
    map.setMaxEntries(100).setValueSize(16).setFlags(1);
    map.pinName = "shared";
    expect(map.spec).toMatchObject({ maxEntries: 100, valueSize: 16, valueType: null, flags: 1, pinned: true });
    expect(object.edits.maps).toEqual({ sized_later: { maxEntries: 100, valueSize: 16, flags: 1, pinned: true } });
    // As libbpf does: a power of two of pages.
    expect(object.map("ring").setMaxEntries(5000).maxEntries).toBe(8192);
    const pinned = (await openObject(fixture("maps"))).map("by_key");
    expect(pinned.pinName).toBe("by_key");
    pinned.pinName = null;
    expect(pinned.spec.pinned).toBe(false);
  });

  it("give data sections another size", async () => {
    const object = await open();
    const map = Object.values(object.maps).find(({ section }) => section === ".data.table")!;
    map.valueSize = 24;
    expect(map.variables[0]).toMatchObject({ sizeBytes: 24, type: { length: 6 } });
    const table = object.variables(".data.table");
    table.table[5] = 50;
    expect({ ...table.table }).toEqual({ 0: 1, 1: 2, 2: 3, 3: 4, 4: 0, 5: 50 });
    map.valueSize = 8;
    expect({ ...object.variables(".data.table").table }).toEqual({ 0: 1, 1: 2 });
  });

  it("may have another template", async () => {
    const object = await openObject(fixture("maps"));
    const outer = object.map("array_of_maps");
    expect(outer.inner).not.toBeNull();
    outer.inner!.maxEntries = 77;
    expect(outer.spec.inner?.maxEntries).toBe(77);
    outer.setInner({ type: "hash", keySize: 8, valueSize: 4, maxEntries: 3 });
    expect(outer.spec.inner).toMatchObject({ type: "hash", keySize: 8, maxEntries: 3 });
    expect(
      failureOf(() => object.map("by_key").setInner({ type: "hash", keySize: 4, valueSize: 4, maxEntries: 1 })),
    ).toBeInstanceOf(UsageError);
  });

  it("refuse what is no size", async () => {
    const map = (await open()).map("sized_later");
    for (const size of [-1, 1.5, 2 ** 32, Number.NaN]) {
      expect(failureOf(() => map.setMaxEntries(size))).toBeInstanceOf(UsageError);
      expect(failureOf(() => map.setValueSize(size))).toBeInstanceOf(UsageError);
    }
    expect(failureOf(() => map.readBytes())).toBeInstanceOf(UsageError);
    const object = await open();
    expect(failureOf(() => object.map("none"))?.hint).toContain("sized_later");
  });

  it("are shared by pin name, or reused", async () => {
    const pins = new Map();
    const first = (await open()).select(["reads"]);
    first.map("sized_later").setMaxEntries(4).pinName = "shared";
    first.map("ring").maxEntries = 4096;
    const loaded = await first.load({ pins });
    loaded.map("sized_later").set(0, 1n);
    const second = (await open()).select(["reads"]);
    second.map("sized_later").setMaxEntries(4).pinName = "shared";
    second.map("ring").maxEntries = 4096;
    const other = await second.load({ pins, runtime: loaded.runtime });
    expect(other.program("reads").testRun({ dataIn: PACKET }).retval).toBe(41);
    other.close();
    const third = (await open()).select(["reads"]);
    third.map("sized_later").setMaxEntries(4).reuse(loaded.map("sized_later"));
    third.map("ring").maxEntries = 4096;
    const reusing = await third.load({ runtime: loaded.runtime });
    expect(reusing.map("sized_later").get(0)).toBe(1n);
    reusing.close();
    loaded.close();
  });
});

describe("programs", () => {
  it("are chosen, typed and pointed before the load", async () => {
    const object = await open();
    const { reads, not_by_default, no_section } = object.programs;
    expect([reads!.autoload, not_by_default!.autoload, no_section!.type]).toEqual([true, false, null]);
    await expect(object.load()).rejects.toMatchObject({ code: "SECTION_UNKNOWN" });
    no_section!.type = "socket_filter";
    not_by_default!.autoload = true;
    reads!.autoload = false;
    object.map("sized_later").maxEntries = 1;
    object.map("ring").maxEntries = 4096;
    object.variables(".data.table").table[3] = 99;
    await using loaded = await object.load();
    expect(Object.keys(loaded.programs).sort()).toEqual(["no_section", "not_by_default"]);
    expect(loaded.program("no_section").testRun({ dataIn: PACKET }).retval).toBe(99);
    expect(loaded.program("not_by_default").testRun({ dataIn: PACKET }).retval).toBe(77);
    expect(failureOf(() => (object.program("reads").type = "nothing" as never))).toBeInstanceOf(UsageError);
  });

  it("may be typed by section for load() in one go", async () => {
    const types = { custom: "socket_filter" } as const;
    await expect(load(fixture("open"), { types, programs: ["no_section"] })).rejects.toBeInstanceOf(MapError);
    expect((await openObject(fixture("open"), { types })).program("no_section").type).toBe("socket_filter");
  });
});

describe("after the load", () => {
  it("nothing can be changed", async () => {
    const object = await open();
    await run(object);
    const late: (() => unknown)[] = [
      () => (object.rodata.targ_pid = 1),
      () => (object.rodata.filter.inner.limits[0] = 1n),
      () => (object.map("ring").maxEntries = 1),
      () => (object.map("ring").pinName = "x"),
      () => (object.program("reads").autoload = false),
      () => object.select(["reads"]),
    ];
    for (const action of late)
      expect(failureOf(action), String(action)).toMatchObject({ code: "USAGE", errno: "EBUSY" });
    expect(object.rodata.targ_pid).toBe(0);
    await expect(object.load()).rejects.toMatchObject({ errno: "EBUSY" });
  });

  it("that failed, everything can", async () => {
    const object = (await open()).select(["reads"]);
    await expect(object.load()).rejects.toBeInstanceOf(MapError);
    expect(await run(object)).toBe(40);
  });
});

describe("what bpfjit does not load", () => {
  it("is shown and refused by name", async () => {
    const object = await openObject(fixture("struct-ops"));
    expect(object.map("plain").type).toBe("struct_ops");
    await expect(object.load()).rejects.toMatchObject({ code: "UNSUPPORTED_MAP_TYPE", feature: "struct_ops" });
    await expect(object.load()).rejects.toBeInstanceOf(UnsupportedError);
    const arena = await openObject(fixture("open"));
    arena.map("sized_later").type = "arena";
    await expect(arena.select(["reads"]).load()).rejects.toMatchObject({ feature: "arena maps" });
  });
});

describe("verify", () => {
  it("needs no sizes and no types", async () => {
    const verdicts = await verifyObject(fixtureBytes("open"), { programs: ["reads", "not_by_default"] });
    expect(verdicts.map(({ program, verdict }) => [program, verdict])).toEqual([
      ["reads", "accepted"],
      ["not_by_default", "accepted"],
    ]);
    const [untyped] = await verifyObject(fixtureBytes("open"), { programs: ["no_section"] });
    expect(untyped).toMatchObject({ verdict: "unloadable", type: null });
    const types = { custom: "socket_filter" } as const;
    const [typed] = await verifyObject(fixtureBytes("open"), { programs: ["no_section"], types });
    expect(typed?.verdict).toBe("accepted");
  });
});
