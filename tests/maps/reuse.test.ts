/**
 * What old value pointers of a hash show once its elements are used again. The wanted numbers are what a program of the same
 * steps stored on kernel 6.18 (BPF_PROG_TYPE_SYSCALL, one run on one CPU).
 */
import { describe, expect, it } from "vitest";
import { createMap } from "../../runtime/maps/index.ts";
import { MAP_FLAG } from "../../spec/index.ts";
import { mapSpec } from "./spec.ts";
import { makeWorld, place } from "./world.ts";

describe("elements of a hash are used again as in the kernel", () => {
  it.each([
    ["preallocated: the CPU's spare element", 0, [10, 200, 200, 30, 500, 200, 500, 200, 500, 200, 500]],
    [
      "not preallocated: what was freed last",
      MAP_FLAG.NO_PREALLOC,
      [10, 200, 200, 30, 500, 200, 500, 200, 500, 600, 500],
    ],
  ] as const)("%s", (_name, flags, wanted) => {
    const world = makeWorld();
    world.onCpu(1);
    const map = createMap(world, mapSpec({ type: "hash", keySize: 4, valueSize: 8, maxEntries: 8, flags }));
    const { view } = world.arena;
    const { hash_update, hash_lookup, hash_delete } = world.library;
    const keyAt = place(world, new Uint8Array(4));
    const valueAt = place(world, new Uint8Array(8));
    const key = (n: number) => {
      view.setUint32(keyAt, n, true);
      return keyAt;
    };
    const update = (n: number, value: number) => {
      view.setUint32(valueAt, value, true);
      expect(hash_update(map.address, key(n), valueAt, 0n)).toBe(0);
    };
    const seen: number[] = [];
    const note = (...pointers: number[]) => seen.push(...pointers.map((pointer) => view.getUint32(pointer, true)));

    for (const n of [1, 2, 3]) update(n, 10 * n);
    const first = hash_lookup(map.address, key(1));
    for (const [n, value] of [
      [1, 100],
      [2, 200],
      [4, 400],
    ] as const) {
      update(n, value);
      note(first);
    }
    const third = hash_lookup(map.address, key(3));
    hash_delete(map.address, key(3));
    note(third);
    update(5, 500);
    note(third);
    for (const [n, value] of [
      [1, 101],
      [2, 201],
      [6, 600],
    ] as const) {
      update(n, value);
      note(first, third);
    }
    expect(seen).toEqual(wanted);
  });
});
