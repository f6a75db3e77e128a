/**
 * Values with special fields: the user sees zeros in their place, updates leave them alone, and BPF_F_LOCK copies under the
 * value's spin lock. Kernel: copy_map_value(), check_and_init_map_value(), bpf_map_update_value().
 */
import { describe, expect, test } from "vitest";
import { createMap } from "../../runtime/maps/create.ts";
import type { MapSpec, SpecialField } from "../../spec/index.ts";
import { UPDATE_FLAG } from "../../spec/index.ts";
import { mapSpec } from "./spec.ts";
import { makeWorld, place, u32 } from "./world.ts";

const LOCK_AT = 8;
const FIELDS: readonly SpecialField[] = [
  { kind: "spinLock", offsetBytes: LOCK_AT, sizeBytes: 4 },
  { kind: "timer", offsetBytes: 16, sizeBytes: 16 },
];
const VALUE_BYTES = 40;
const spec = (type: MapSpec["type"], fields?: readonly SpecialField[]): MapSpec =>
  mapSpec({ type, keySize: 4, valueSize: VALUE_BYTES, maxEntries: 2, ...(fields && { fields }) });
const ALL = new Uint8Array(VALUE_BYTES).fill(0xee);
const SEEN = ALL.slice();
SEEN.fill(0, LOCK_AT, LOCK_AT + 4);
SEEN.fill(0, 16, 32);

describe.each(["array", "hash"] as const)("%s", (type) => {
  test("the user writes and reads around the fields", () => {
    const world = makeWorld();
    const map = createMap(world, spec(type, FIELDS));
    map.update(u32(1), ALL);
    expect(map.lookup(u32(1))).toEqual(SEEN);
    expect(map.lookup(u32(1), UPDATE_FLAG.LOCK)).toEqual(SEEN);
  });

  test("an update under the lock writes the value in place and leaves it unlocked", () => {
    const world = makeWorld();
    const map = createMap(world, spec(type, FIELDS));
    map.update(u32(1), new Uint8Array(VALUE_BYTES));
    const address = map.valueAddress(u32(1));
    map.update(u32(1), ALL, UPDATE_FLAG.LOCK);
    expect(map.valueAddress(u32(1))).toBe(address);
    expect(world.arena.view.getUint32(address + LOCK_AT, true)).toBe(0);
    expect(map.lookup(u32(1))).toEqual(SEEN);
    const keyIsThere = expect.objectContaining({ errno: "EEXIST" });
    expect(() => map.update(u32(1), ALL, UPDATE_FLAG.LOCK | UPDATE_FLAG.NOEXIST)).toThrow(keyIsThere);
    map.update(u32(1), SEEN, UPDATE_FLAG.LOCK | UPDATE_FLAG.EXIST);
  });

  test("what a program holds is not overwritten", () => {
    const world = makeWorld();
    const map = createMap(world, spec(type, FIELDS));
    map.update(u32(1), new Uint8Array(VALUE_BYTES));
    const lock = map.valueAddress(u32(1)) + LOCK_AT;
    world.library.bpf_spin_lock(lock);
    const [key, value] = [place(world, u32(1)), place(world, ALL)];
    if (type === "array") {
      expect(world.library.map_update(map.address, key, value, 0n)).toBe(0);
      expect(world.arena.view.getUint32(lock, true)).toBe(1);
    }
    expect(() => world.library.map_update(map.address, key, value, 4n)).toThrow("worker 0 holds a lock");
    world.library.bpf_spin_unlock(lock);
    expect(world.library.map_update(map.address, key, value, 4n)).toBe(0);
  });

  test("without a lock there is no BPF_F_LOCK", () => {
    const world = makeWorld();
    const map = createMap(world, spec(type));
    map.update(u32(1), ALL);
    const refused = expect.objectContaining({ errno: "EINVAL" });
    expect(() => map.update(u32(1), ALL, UPDATE_FLAG.LOCK)).toThrow(refused);
    expect(() => map.lookup(u32(1), UPDATE_FLAG.LOCK)).toThrow(refused);
    expect(world.library.map_update(map.address, place(world, u32(1)), place(world, ALL), 4n)).toBe(-22);
    expect(map.lookup(u32(1))).toEqual(ALL);
  });
});

test("a per-CPU value's kept pointers are left alone on each CPU", () => {
  const world = makeWorld();
  const pointer: SpecialField = { kind: "kptrUntrusted", offsetBytes: 8, sizeBytes: 8 };
  const map = createMap(world, spec("percpu_array", [pointer]));
  const seen = ALL.slice();
  seen.fill(0, 8, 16);
  map.update(
    u32(1),
    Array.from({ length: 4 }, () => ALL),
  );
  expect(map.lookup(u32(1))).toEqual(Array.from({ length: 4 }, () => seen));
  for (let cpu = 0; cpu < 4; cpu++) {
    expect(world.arena.view.getBigUint64(map.valueAddress(u32(1), cpu) + 8, true)).toBe(0n);
  }
});

test("fields that do not fit a value are refused", () => {
  const lock = { kind: "spinLock", sizeBytes: 4 } as const;
  const unfit: readonly (readonly SpecialField[])[] = [
    [{ ...lock, offsetBytes: 38 }],
    [{ ...lock, offsetBytes: 40 }],
    [{ ...lock, offsetBytes: 4, sizeBytes: 0 }],
    [...FIELDS].reverse(),
  ];
  for (const fields of unfit) {
    const refused = expect.objectContaining({ code: "MAP_CREATE", errno: "EINVAL" });
    expect(() => createMap(makeWorld(), spec("array", fields))).toThrow(refused);
  }
});
