/** A worker killed before any single store of a map or ring operation: nothing stays locked, nothing else is lost. */
import { beforeAll, describe, expect, it } from "vitest";
import {
  type BpfMap,
  createMap,
  type PerfEventArrayMap,
  type RingbufMap,
  type UserRingbufMap,
} from "../../runtime/maps/index.ts";
import type { PerfBufferOptions } from "../../runtime/maps/perf-array.ts";
import { openReader, readSnapshot, SampleWriter } from "../../runtime/rings/index.ts";
import { MAP_FLAG, NULL_GUARD_BYTES, PERF_SAMPLE, RINGBUF_FLAG } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { place, u32 } from "../maps/world.ts";
import { MORTAL_CPU, steppingLibrary, TwoWorkers } from "./mortal.ts";

let stepping: WebAssembly.Module;
beforeAll(async () => {
  stepping = await steppingLibrary();
});

/** More stores than any operation here has. */
const MOST_STORES = 200;

/** Runs a scene with a death before store 0, 1, 2 … until the operation is done before that. Returns how many there were. */
function atEveryStore(scene: (store: number) => boolean): number {
  for (let store = 0; store < MOST_STORES; store++) if (!scene(store)) return store;
  throw new Error("the operation never ends");
}

const number = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

describe("a worker that dies while it changes a hash", () => {
  const ENTRIES = 6;
  const KINDS = [
    ["preallocated", "hash", 0],
    ["not preallocated", "hash", MAP_FLAG.NO_PREALLOC],
    ["per CPU", "percpu_hash", 0],
    ["LRU", "lru_hash", 0],
    ["LRU per CPU", "lru_percpu_hash", 0],
  ] as const;
  /** of what is there before: the keys 1 … 4, value 10 × key */
  const OPERATIONS: Readonly<Record<string, { readonly key: number; readonly value: number | null }>> = {
    "adds a key": { key: 9, value: 90 },
    "adds a key in an element that was never used": { key: 9, value: 91 },
    "updates a key": { key: 2, value: 21 },
    "deletes a key": { key: 3, value: null },
  };

  for (const [kind, type, flags] of KINDS)
    it.each(Object.entries(OPERATIONS))(`${kind}: %s`, (_name, { key, value }) => {
      const stores = atEveryStore((store) => {
        const two = new TwoWorkers(stepping);
        const { world } = two;
        const map = createMap(world, mapSpec({ type, keySize: 4, valueSize: 8, maxEntries: ENTRIES, flags }));
        const keyAt = place(world, u32(0));
        const valueAt = place(world, new Uint8Array(8));
        const change = (library: typeof two.library, of: number, to: number | null): number => {
          world.arena.view.setUint32(keyAt, of, true);
          if (to === null) return library.map_delete(map.address, keyAt);
          world.arena.view.setUint32(valueAt, to, true);
          return library.map_update(map.address, keyAt, valueAt, 0n);
        };
        // every CPU has had its spare element, and some were used before
        for (const library of [two.library, world.library]) for (const n of [1, 2, 3, 4, 5]) change(library, n, 7 * n);
        if (value !== 91) change(world.library, 5, null);
        for (const n of [1, 2, 3, 4]) change(two.library, n, 10 * n);
        const before = contents(map);

        const killed = two.killAt(store, () => change(two.library, key, value));
        const repairs = killed ? two.repair(map) : null;
        expect(repairs?.records ?? []).toEqual([]);
        const after = new Map(before);
        if (value === null) after.delete(key);
        else after.set(key, value);
        const now = contents(map);
        expect([before, after]).toContainEqual(now);
        if (!killed) expect(now).toEqual(after);
        expect(map.size).toBe(now.size);

        // as many elements as ever, whoever takes them
        const keys = [...now.keys()];
        for (let n = 100; keys.length < ENTRIES; n++) keys.push(n);
        for (const library of [world.library, two.library, world.library])
          for (const n of keys) expect(change(library, n, n + 1)).toBe(0);
        expect(world.arena.bytes.subarray(0, NULL_GUARD_BYTES).every((byte) => byte === 0)).toBe(true);
        if (type.startsWith("lru")) {
          // one of the others goes
          expect([change(two.library, 999, 1), map.size, change(two.library, 999, null)]).toEqual([0, ENTRIES, 0]);
          for (const n of keys) expect(change(two.library, n, n + 1)).toBe(0);
        } else expect(change(two.library, 999, 1)).toBe(-7);
        expect(contents(map)).toEqual(new Map(keys.map((n) => [n, n + 1])));
        for (const n of keys) expect(change(two.library, n, null)).toBe(0);
        expect(map.size).toBe(0);
        for (let n = 0; n < ENTRIES; n++) expect(change(two.library, n, n)).toBe(0);
        expect(map.size).toBe(ENTRIES);
        return killed;
      });
      expect(stores).toBeGreaterThan(3);
    });

  /** Key → value, of a per-CPU hash that of worker 1's CPU or, where only the other wrote, the other's. */
  function contents(map: BpfMap): Map<number, number> {
    const found = new Map<number, number>();
    for (const { key, value } of map.entries())
      found.set(
        number(key),
        value instanceof Uint8Array ? number(value) : number(value[MORTAL_CPU]!) || number(value[0]!),
      );
    return new Map([...found].sort(([a], [b]) => a - b));
  }
});

describe("a worker that dies while it drains a user ring buffer", () => {
  const SIZES = [8, 16, 24, 32];

  it("leaves the sample under way, and those behind it, to the next drain", () => {
    const stores = atEveryStore((store) => {
      const two = new TwoWorkers(stepping);
      const { world } = two;
      const spec = mapSpec({ type: "user_ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 });
      const map = createMap(world, spec) as UserRingbufMap;
      const writer = new SampleWriter(map);
      for (const size of SIZES) {
        const sample = writer.reserve(size)!;
        if (size === 24) sample.discard();
        else sample.submit();
      }
      const drain = (library: typeof two.library, seen: number[]): number => {
        const begun = library.user_ringbuf_begin(map.address, 0n);
        if (begun < 0) return begun;
        for (;;) {
          const size = library.user_ringbuf_next(map.address);
          if (size < 0) return library.user_ringbuf_end(map.address, 0n, size);
          seen.push(size);
          library.user_ringbuf_done(map.address, size);
        }
      };
      const dead: number[] = [];
      const killed = two.killAt(store, () => drain(two.library, dead));
      if (killed) two.repair(map);
      const rest: number[] = [];
      expect(drain(world.library, rest)).toBe(rest.length);
      // what the dead worker's callback had under way is seen twice at most
      const again = rest[0] === dead.at(-1) ? 1 : 0;
      expect([...dead, ...rest.slice(again)]).toEqual([8, 16, 32]);
      expect(writer.freeBytes).toBe(4096);
      return killed;
    });
    expect(stores).toBeGreaterThan(10);
  });
});

describe("a worker that dies while it writes to a ring buffer", () => {
  const RECORD = 40;
  const OPERATIONS = ["output", "submit", "discard"] as const;

  for (const strictRing of [false, true])
    it.each(OPERATIONS)(strictRing ? "shared: %s" : "lanes: %s", (operation) => {
      const ends = new Set<string>();
      atEveryStore((store) => {
        const two = new TwoWorkers(stepping);
        const { world } = two;
        const spec = mapSpec({ type: "ringbuf", keySize: 0, valueSize: 0, maxEntries: 4096 });
        const map = createMap(world, spec, { strictRing }) as RingbufMap;
        const reader = openReader(map);
        const at = place(world, new Uint8Array(RECORD));
        let made = 0;
        const write = (library: typeof two.library): void => {
          world.arena.view.setUint32(at, ++made, true);
          expect(library.ringbuf_output(map.address, at, RECORD, BigInt(RINGBUF_FLAG.NO_WAKEUP))).toBe(0);
        };
        const read: number[] = [];
        const drain = () => reader.drain((address) => read.push(world.arena.view.getUint32(address, true)));
        // some laps, so that what lies in the ring is not zeros
        for (let n = 0; n < 300; n++) {
          write(n % 3 === 0 ? world.library : two.library);
          if (n % 20 === 19) drain();
        }
        write(two.library);
        write(world.library);

        const last = made + 1;
        const killed = two.killAt(store, () => {
          const { library } = two;
          world.arena.view.setUint32(at, last, true);
          if (operation === "output") library.ringbuf_output(map.address, at, RECORD, 0n);
          else {
            const sample = library.ringbuf_reserve(map.address, RECORD, 0n) >>> 0;
            world.arena.view.setUint32(sample, last, true);
            if (operation === "submit") library.bpf_ringbuf_submit(sample, 0n);
            else library.bpf_ringbuf_discard(sample, 0n);
          }
        });
        made = last;
        // in lanes the others go on before anybody knows; on a shared ring they may have to wait for the lock
        if (!strictRing) write(world.library);
        const repairs = killed ? two.repair(map) : { maps: [], records: [] };
        for (let n = 0; n < 200; n++) {
          write(n % 3 === 0 ? two.library : world.library);
          if (n % 20 === 19) drain();
        }
        drain();
        const abandoned = repairs.records[0]?.count ?? 0;
        expect([map.abandoned, reader.lost]).toEqual([BigInt(abandoned), BigInt(abandoned)]);
        const missing = Array.from({ length: made }, (_, n) => n + 1).filter((n) => !read.includes(n));
        expect(read.length).toBe(made - missing.length);
        expect(missing.every((n) => n === last)).toBe(true);
        ends.add(missing.length === 0 ? "read" : abandoned === 1 ? "lost" : "not made");
        return killed;
      });
      expect([...ends].sort()).toEqual(operation === "discard" ? ["lost", "not made"] : ["lost", "not made", "read"]);
    });
});

describe("a worker that dies while it writes to a perf buffer", () => {
  const RECORD = 44;
  const CURRENT = 0xffff_ffffn;
  const { RAW, TIME, CPU } = PERF_SAMPLE;
  const KINDS: Readonly<Record<string, PerfBufferOptions>> = {
    samples: { pages: 1 },
    "samples with fields": { pages: 1, sampleType: RAW | TIME | CPU },
    bare: { pages: 1, format: "bare" },
    overwrite: { pages: 1, format: "overwrite" },
  };
  const OPERATIONS = ["output", "commit", "discard", "reserved around another", "behind losses"] as const;

  for (const [kind, options] of Object.entries(KINDS))
    it.each(OPERATIONS.filter((operation) => kind !== "bare" || operation !== "reserved around another"))(
      `${kind}: %s`,
      (operation) => {
        const ends = new Set<string>();
        atEveryStore((store) => {
          const two = new TwoWorkers(stepping);
          const { world } = two;
          const { view } = world.arena;
          const spec = mapSpec({ type: "perf_event_array", keySize: 4, valueSize: 4, maxEntries: 0 });
          const map = createMap(world, spec) as PerfEventArrayMap;
          map.openBuffer(MORTAL_CPU, options);
          let told = 0;
          const reader = openReader(map, {
            onLost: (count) => {
              told += Number(count);
            },
            framing: () => RECORD,
          });
          const at = place(world, new Uint8Array(RECORD));
          let made = 0;
          const output = (): number => {
            view.setUint32(at, ++made, true);
            return two.library.perf_event_output(0, map.address, CURRENT, at, RECORD);
          };
          const reserve = (): number => {
            made += 1;
            const sample = two.library.perf_reserve(map.address, RECORD, CURRENT) >>> 0;
            view.setUint32(sample, made, true);
            return sample;
          };
          const read = new Set<number>();
          const drain = (): void => {
            if (kind === "overwrite")
              readSnapshot(map, MORTAL_CPU, (address) => void read.add(view.getUint32(address, true)));
            else reader.drain((address) => void read.add(view.getUint32(address, true)));
          };
          for (let n = 0; n < 300; n++) {
            output();
            if (n % 20 === 19) drain();
          }
          drain();
          if (operation === "behind losses") {
            map.setPaused(MORTAL_CPU, true);
            output();
            map.setPaused(MORTAL_CPU, false);
          }
          const first = made + 1;
          const lostBefore = Number(reader.lost);
          const killed = two.killAt(store, () => {
            const { library } = two;
            if (operation === "output" || operation === "behind losses") output();
            else {
              const sample = reserve();
              if (operation === "reserved around another") output();
              if (operation === "discard") library.bpf_perf_discard(sample);
              else library.bpf_perf_commit(sample);
            }
          });
          const last = made;
          const records = (killed ? two.repair(map) : null)?.records[0]?.count ?? 0;
          drain();
          for (let n = 0; n < 200; n++) {
            expect(output()).toBe(0);
            if (n % 20 === 19) drain();
          }
          drain();
          expect(Number(reader.lost) - lostBefore).toBe(records);
          expect(told).toBeLessThanOrEqual(Number(reader.lost));
          const missing = Array.from({ length: made }, (_, n) => n + 1).filter((n) => !read.has(n));
          const own = missing.filter((n) => n >= first && n <= last);
          expect(missing.length).toBe(own.length + lostBefore);
          expect(records).toBeLessThanOrEqual(own.length);
          ends.add(own.length === 0 ? "read" : records > 0 ? "lost" : "not made");
          return killed;
        });
        expect(ends.has("not made")).toBe(true);
        expect(ends.has("lost")).toBe(["commit", "discard", "reserved around another"].includes(operation));
      },
    );
});
