/** Perf buffers that are no plain queue: reserved records, overwriting buffers, the consumer's own format; and who counts what. */
import { beforeEach, describe, expect, it } from "vitest";
import { createMap, type PerfEventArrayMap } from "../../runtime/maps/index.ts";
import { PerfReader, readSnapshot } from "../../runtime/rings/index.ts";
import { CPU, ERRNO, PERF_BUFFER, PERF_RECORD, PERF_SAMPLE } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { makeWorld, place, type TestWorld } from "../maps/world.ts";

const CURRENT_CPU = 0xffff_ffffn;
let world: TestWorld;
let map: PerfEventArrayMap;
let source: number;

beforeEach(() => {
  world = makeWorld();
  map = createMap(
    world,
    mapSpec({ type: "perf_event_array", keySize: 4, valueSize: 4, maxEntries: 0 }),
  ) as PerfEventArrayMap;
  source = place(world, new Uint8Array(8192));
  world.onCpu(0);
});

const output = (size: number, first = 0): number => {
  world.arena.view.setUint32(source, first, true);
  return world.library.perf_event_output(0, map.address, CURRENT_CPU, source, size);
};
const reserve = (size: number, flags = CURRENT_CPU): number =>
  world.library.perf_reserve(map.address, size, flags) >>> 0;
const commit = (sample: number): void => world.library.bpf_perf_commit(sample);
const discard = (sample: number): void => world.library.bpf_perf_discard(sample);
const u32At = (address: number): number => world.arena.view.getUint32(address, true);
const head = (buffer: number): bigint => world.arena.view.getBigUint64(buffer + PERF_BUFFER.dataHead, true);
const write = (address: number, value: number): void => world.arena.view.setUint32(address, value, true);

/** First word of every record that is there, and its length. */
function drained(reader: PerfReader): [number, number][] {
  const found: [number, number][] = [];
  reader.drain((address, length) => found.push([length === 0 ? -1 : u32At(address), length]));
  return found;
}

describe("reserve and commit", () => {
  it("writes what output would have written", () => {
    const sampleType = PERF_SAMPLE.TID | PERF_SAMPLE.CPU | PERF_SAMPLE.RAW;
    const buffer = map.openBuffer(0, { pages: 1, sampleType });
    const data = buffer + PERF_BUFFER.headerBytes;
    for (const size of [0, 1, 4, 5, 12, 60, 61]) {
      const start = Number(head(buffer));
      expect(output(size)).toBe(0);
      const end = Number(head(buffer));
      const sample = reserve(size);
      world.arena.bytes.fill(0, sample, sample + size);
      expect(head(buffer)).toBe(BigInt(end));
      commit(sample);
      expect(Number(head(buffer))).toBe(2 * end - start);
      const { bytes } = world.arena;
      expect([...bytes.slice(data + end, data + 2 * end - start)]).toEqual([...bytes.slice(data + start, data + end)]);
    }
  });

  it("shows records in order, those behind a reserved one when that is committed", () => {
    map.openBuffer(0, { pages: 1 });
    const reader = new PerfReader(map);
    output(4, 1);
    const first = reserve(4);
    output(4, 3);
    const second = reserve(12);
    expect(drained(reader)).toEqual([[1, 4]]);
    write(second, 4);
    commit(second);
    expect(drained(reader)).toEqual([]);
    write(first, 2);
    commit(first);
    expect(drained(reader)).toEqual([
      [2, 4],
      [3, 4],
      [4, 12],
    ]);
    expect(u32At(world.arena.cpu(0) + CPU.reservations)).toBe(0);
  });

  it("gives the room of a discarded record back, or leaves a hole that nobody sees", () => {
    const buffer = map.openBuffer(0, { pages: 1 });
    const reader = new PerfReader(map);
    discard(reserve(100));
    expect(head(buffer)).toBe(0n);
    const hole = reserve(4);
    output(4, 7);
    discard(hole);
    expect(head(buffer)).toBe(32n);
    expect(u32At(buffer + PERF_BUFFER.headerBytes)).toBe(PERF_RECORD.DISCARDED);
    expect(drained(reader)).toEqual([[7, 4]]);
    expect(map.lost).toBe(0n);
  });

  it("answers 0 where output has an errno", () => {
    expect(reserve(8)).toBe(0);
    map.openBuffer(0, { pages: 1 });
    map.openBuffer(1, { pages: 1 });
    expect([reserve(8, 1n), reserve(8, 2n), reserve(8, 9n), reserve(8, 1n << 32n)]).toEqual([0, 0, 0, 0]);
    expect(map.lost).toBe(0n);
    expect([reserve(4085), reserve(70_000), reserve(0xffff_ffff)]).toEqual([0, 0, 0]);
    expect(map.lost).toBe(3n);
    expect(reserve(4000)).not.toBe(0);
    world.onCpu(null);
    expect(reserve(8)).toBe(0);
  });

  it("goes on after a run that broke off: its records are counted as lost", () => {
    map.openBuffer(0, { pages: 1 });
    const lost: bigint[] = [];
    const reader = new PerfReader(map, { onLost: (count) => lost.push(count) });
    reserve(4);
    output(4, 1);
    reserve(8);
    // what the runtime does when a run ends in a trap
    write(world.arena.cpu(0) + CPU.reservations, 0);
    expect(drained(reader)).toEqual([]);
    output(4, 2);
    expect(drained(reader)).toEqual([
      [1, 4],
      [2, 4],
    ]);
    expect([map.lost, ...lost]).toEqual([2n, 2n]);
  });

  it("keeps reserved records contiguous across the end", () => {
    map.openBuffer(0, { pages: 1 });
    const reader = new PerfReader(map);
    for (let n = 1; n < 500; n++) {
      const size = 4 + ((n * 61) % 1000);
      const sample = reserve(size);
      write(sample, n);
      world.arena.view.setUint8(sample + size - 1, n & 0xff);
      if (n % 3 === 0) discard(sample);
      else commit(sample);
      const seen: number[] = [];
      reader.drain((address) => seen.push(u32At(address) & 0xff, world.arena.view.getUint8(address + size - 1)));
      if (size > 4) expect(seen).toEqual(n % 3 === 0 ? [] : [n & 0xff, n & 0xff]);
    }
  });
});

describe("an overwriting buffer", () => {
  const latest = (): number[] => {
    const found: number[] = [];
    const count = readSnapshot(map, 0, (address) => found.push(u32At(address)));
    expect(count).toBe(found.length);
    return found;
  };

  it("holds the latest records, the oldest first, and loses none for want of room", () => {
    map.openBuffer(0, { pages: 1, format: "overwrite" });
    expect(latest()).toEqual([]);
    for (let n = 1; n <= 3; n++) expect(output(20, n)).toBe(0);
    expect(latest()).toEqual([1, 2, 3]);
    for (let n = 4; n <= 1000; n++) {
      expect(output(4 + ((n * 13) % 200), n)).toBe(0);
      const records = latest();
      expect(records.at(-1)).toBe(n);
      expect(records).toEqual(records.map((_, index) => n - records.length + 1 + index));
    }
    expect(latest().length).toBeGreaterThan(20);
    expect([map.lost, map.moreThanHalfFull]).toEqual([0n, false]);
  });

  it("loses what comes while it is paused, and reports it", () => {
    map.openBuffer(0, { pages: 1, format: "overwrite" });
    output(4, 1);
    map.setPaused(0, true);
    expect(output(4, 2)).toBe(-ERRNO.ENOSPC);
    map.setPaused(0, false);
    expect(output(4, 3)).toBe(0);
    expect(latest()).toEqual([1, 3]);
    expect(map.lost).toBe(1n);
    expect(output(5000)).toBe(-ERRNO.ENOSPC);
  });

  it("is no queue for a reader, and a queue has no snapshot", () => {
    map.openBuffer(0, { pages: 1, format: "overwrite" });
    map.openBuffer(1, { pages: 1 });
    output(4, 1);
    expect(new PerfReader(map).drain(() => {})).toBe(0);
    expect(() => readSnapshot(map, 1, () => {})).toThrow(expect.objectContaining({ code: "USAGE" }));
    expect(() => readSnapshot(map, 2, () => {})).toThrow(expect.objectContaining({ errno: "ENOENT" }));
  });
});

describe("the consumer's own format", () => {
  /** u16 length, u16 kind, then the rest */
  const framing = (view: DataView, address: number): number => view.getUint16(address, true);

  it("holds the bytes as programs store them, nothing else", () => {
    const buffer = map.openBuffer(0, { pages: 1, format: "bare" });
    const data = buffer + PERF_BUFFER.headerBytes;
    const reader = new PerfReader(map, { framing });
    output(8, 8 | (1 << 16));
    const sample = reserve(12);
    expect(sample).toBe(data + 8);
    write(sample, 12 | (2 << 16));
    write(sample + 4, 77);
    write(sample + 8, 78);
    commit(sample);
    expect(head(buffer)).toBe(20n);
    expect(drained(reader)).toEqual([
      [8 | (1 << 16), 8],
      [12 | (2 << 16), 12],
    ]);
    let expected = 0;
    for (let n = 0; n < 700; n++) {
      const length = 4 + 4 * ((n * 7) % 100);
      output(length, length | (n << 16));
      expected += 1;
      for (const [word] of drained(reader)) expect(word).toBe((length | (n << 16)) >>> 0);
    }
    expect([expected, map.lost]).toEqual([700, 0n]);
  });

  it("counts losses apart, and takes bytes in fours, one reservation at a time", () => {
    const buffer = map.openBuffer(0, { pages: 1, format: "bare" });
    expect([output(7), output(0), reserve(6), reserve(0)]).toEqual([-ERRNO.EINVAL, -ERRNO.EINVAL, 0, 0]);
    const sample = reserve(8);
    expect([reserve(8), output(8)]).toEqual([0, -ERRNO.ENOSPC]);
    discard(sample);
    expect([map.lost, head(buffer)]).toEqual([2n, 0n]);
    let written = 0;
    while (output(100) === 0) written += 1;
    expect([written, map.lost]).toEqual([40, 3n]);
    expect(output(90_000)).toBe(-ERRNO.ENOSPC);
    reserve(4);
    write(world.arena.cpu(0) + CPU.reservations, 0);
    write(world.arena.cpu(0) + CPU.bareRecord, 0);
    expect([output(4), map.lost, head(buffer)]).toEqual([0, 5n, 4004n]);
  });

  it("gives what no framing fits as one record", () => {
    map.openBuffer(0, { pages: 1, format: "bare" });
    for (const length of [0, 99, -4, 1.5, Number.NaN]) {
      output(8, 1);
      output(8, 2);
      using reader = new PerfReader(map, { framing: () => length });
      expect(drained(reader)).toEqual([[1, 16]]);
    }
  });
});

describe("losses", () => {
  it("add up with what was read, whatever the reader does, also when the map is closed", () => {
    let produced = 0;
    let read = 0;
    let reported = 0n;
    const onLost = (count: bigint): void => {
      reported += count;
    };
    map.openBuffer(0, { pages: 1 });
    map.openBuffer(1, { pages: 2 });
    const reader = new PerfReader(map, { onLost });
    for (let step = 0; step < 3000; step++) {
      world.onCpu(step % 2);
      output((step * 31) % 1200);
      produced += 1;
      if ((step * step) % 29 === 0) read += reader.drain(() => {}, (step % 7) + 1);
      if (step === 2000) {
        map.closeBuffer(1);
        map.openBuffer(1, { pages: 1 });
      }
    }
    reader.close();
    map.close();
    expect(map.lost).toBeGreaterThan(0n);
    expect(reported).toBeLessThanOrEqual(map.lost);
    expect(BigInt(read) + map.lost).toBe(BigInt(produced));
  });
});
