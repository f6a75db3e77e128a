/** The arena: its allocator, growth, options, blocks; and what createMap leaves in it. */
import { describe, expect, it } from "vitest";
import { Arena } from "../../runtime/arena.ts";
import { createMap } from "../../runtime/maps/index.ts";
import { CPU, CPU_STACK_BYTES, NULL_GUARD_BYTES, WORKER } from "../../spec/index.ts";
import { makeRandom } from "../contract/map.ts";
import { mapSpec } from "./spec.ts";
import { makeWorld, u32 } from "./world.ts";

const code = (expected: string) => expect.objectContaining({ code: expected });

describe("the arena", () => {
  it("hands out zeroed, aligned ranges that do not overlap, and takes them back", () => {
    const arena = new Arena({ cpus: 1, maximumBytes: 8 << 20 });
    const used = arena.usedBytes;
    const random = makeRandom(Number(process.env.SEED ?? 7));
    const taken: { address: number; bytes: number }[] = [];
    for (let step = 0; step < 3000; step++) {
      if (taken.length > 40 || (taken.length > 0 && random() % 3 === 0)) {
        const [range] = taken.splice(random() % taken.length, 1);
        arena.free(range!.address);
        continue;
      }
      const bytes = random() % 5000;
      const alignment = 1 << (random() % 13);
      const address = arena.allocate(bytes, alignment);
      expect(address % Math.max(8, alignment)).toBe(0);
      expect(address).toBeGreaterThanOrEqual(NULL_GUARD_BYTES);
      expect(arena.bytes.subarray(address, address + bytes).every((byte) => byte === 0)).toBe(true);
      for (const other of taken)
        expect(address + bytes <= other.address || other.address + other.bytes <= address).toBe(true);
      arena.bytes.fill(0xff, address, address + bytes);
      taken.push({ address, bytes });
    }
    for (const range of taken) arena.free(range.address);
    expect(arena.usedBytes).toBe(used);
    // everything is one gap again
    expect(() => arena.free(arena.allocate((8 << 20) - NULL_GUARD_BYTES - 4096))).not.toThrow();
  });

  it("grows as needed and says when there is no more", () => {
    const arena = new Arena({ cpus: 1, maximumBytes: 1 << 20 });
    const before = arena.bytes.length;
    const address = arena.allocate(600_000);
    expect(arena.bytes.length).toBeGreaterThan(before);
    expect(() => arena.allocate(600_000)).toThrow(code("ARENA_EXHAUSTED"));
    arena.free(address);
    expect(() => arena.allocate(600_000)).not.toThrow();
  });

  it("refuses options that make no sense", () => {
    for (const options of [
      { cpus: 0 },
      { cpus: 1.5 },
      { cpus: Number.NaN },
      { cpus: 1, maximumBytes: 10 },
      { cpus: 1, maximumBytes: 2 ** 40 },
      { cpus: 1, maximumBytes: Number.NaN },
    ])
      expect(() => new Arena(options)).toThrow(code("USAGE"));
    expect(() => new Arena({ cpus: 2 }).cpu(2)).toThrow(code("USAGE"));
  });

  it("lays out workers and virtual CPUs once, each with its stack", () => {
    const arena = new Arena({ cpus: 3 });
    const cpu = arena.cpu(2);
    expect(arena.cpu(2)).toBe(cpu);
    const { view } = arena;
    expect(view.getUint32(cpu + CPU.id, true)).toBe(2);
    expect(view.getUint32(cpu + CPU.sp, true) - view.getUint32(cpu + CPU.stackFloor, true)).toBe(CPU_STACK_BYTES);
    const worker = arena.worker(1);
    expect(arena.worker(1)).toBe(worker);
    expect(view.getUint32(worker + WORKER.id, true)).toBe(1);
    expect(arena.worker(0)).not.toBe(worker);
  });
});

describe("createMap", () => {
  it("fills a data map with its bytes and freezes it", () => {
    const world = makeWorld();
    const initial = Uint8Array.of(1, 2, 3, 4, 5);
    const spec = mapSpec({ type: "array", keySize: 4, valueSize: 5, maxEntries: 1, initial, frozen: true });
    const map = createMap(world, spec);
    expect(map.lookup(u32(0))).toEqual(initial);
    expect(map.valuesAddress).toBe(map.valueAddress(u32(0)));
    expect(map.frozen).toBe(true);
    expect(() => map.update(u32(0), initial)).toThrow(expect.objectContaining({ errno: "EPERM" }));
  });

  it("names a type that bpfjit does not have", () => {
    const spec = mapSpec({ type: "lpm_trie", keySize: 8, valueSize: 8, maxEntries: 1, flags: 1 });
    expect(() => createMap(makeWorld(), spec)).toThrow(code("UNSUPPORTED_MAP_TYPE"));
  });

  it("leaves nothing behind where the arena has no room", () => {
    const world = makeWorld({ maximumBytes: 2 << 20 });
    const used = world.arena.usedBytes;
    for (const type of ["hash", "percpu_hash", "array", "percpu_array"] as const) {
      const spec = mapSpec({ type, keySize: 4, valueSize: 64, maxEntries: 60_000 });
      expect(() => createMap(world, spec), type).toThrow(code("ARENA_EXHAUSTED"));
      expect(world.arena.usedBytes).toBe(used);
    }
    const ring = mapSpec({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 1 << 21 });
    expect(() => createMap(world, ring)).toThrow(code("ARENA_EXHAUSTED"));
    expect(world.arena.usedBytes).toBe(used);
  });

  it("never throws anything but a BpfError, whatever the numbers", () => {
    const world = makeWorld({ maximumBytes: 2 << 20 });
    const random = makeRandom(Number(process.env.SEED ?? 11));
    const types = [
      "hash",
      "array",
      "prog_array",
      "perf_event_array",
      "percpu_hash",
      "percpu_array",
      "ringbuf",
    ] as const;
    const numbers = [
      0,
      1,
      4,
      8,
      4096,
      65_536,
      2 ** 31,
      2 ** 32 - 1,
      2 ** 32,
      -1,
      0.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
    ];
    const pick = <T>(from: readonly T[]): T => from[random() % from.length]!;
    let made = 0;
    for (let step = 0; step < 4000; step++) {
      const spec = mapSpec({
        type: pick(types),
        keySize: random() % 2 === 0 ? 4 : pick(numbers),
        valueSize: random() % 2 === 0 ? 4 : pick(numbers),
        maxEntries: pick(numbers),
        flags: random() % 2 === 0 ? 0 : random(),
      });
      try {
        createMap(world, spec).close();
        made += 1;
      } catch (error) {
        expect(error).toHaveProperty("name", "MapError");
      }
    }
    expect(made).toBeGreaterThan(50);
  });
});
