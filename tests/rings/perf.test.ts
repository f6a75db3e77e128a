/** bpf_perf_event_output and reading what it wrote. */
import { Buffer } from "node:buffer";
import { beforeEach, describe, expect, it } from "vitest";
import { createMap, type PerfEventArrayMap } from "../../runtime/maps/index.ts";
import { PerfReader } from "../../runtime/rings/index.ts";
import { CPU, CTX, ERRNO, EVENT, PERF_BUFFER, PERF_RECORD, PERF_SAMPLE, TASK, WORKER } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { makeWorld, place, type TestWorld } from "../maps/world.ts";

const CURRENT_CPU = 0xffff_ffffn;

let world: TestWorld;
let map: PerfEventArrayMap;
let source: number;

beforeEach(() => {
  world = makeWorld({ cpus: 3 });
  map = createMap(
    world,
    mapSpec({ type: "perf_event_array", keySize: 4, valueSize: 4, maxEntries: 0 }),
  ) as PerfEventArrayMap;
  source = place(
    world,
    new Uint8Array(70_000).map((_, i) => (i * 3) & 0xff),
  );
  world.onCpu(1);
});

const output = (size: number, flags = CURRENT_CPU) =>
  world.library.perf_event_output(0, map.address, flags, source, size);
const u32At = (address: number) => world.arena.view.getUint32(address, true);
const u64At = (address: number) => world.arena.view.getBigUint64(address, true);

describe("perf event array", () => {
  it("has a slot for each CPU where no size is given", () => {
    expect(map.maxEntries).toBe(3);
  });

  it("answers the kernel's errors", () => {
    expect(output(8)).toBe(-ERRNO.ENOENT);
    map.openBuffer(0, { pages: 1 });
    map.openBuffer(1, { pages: 1 });
    expect(output(8, 1n << 32n)).toBe(-ERRNO.EINVAL);
    expect(output(8, 3n)).toBe(-ERRNO.E2BIG);
    expect(output(8, 2n)).toBe(-ERRNO.ENOENT);
    expect(output(8, 0n)).toBe(-ERRNO.EOPNOTSUPP);
    expect(output(8, 1n)).toBe(0);
    expect(output(8)).toBe(0);
    const cpu = world.arena.cpu(1);
    world.arena.view.setUint32(cpu + CPU.outputNesting, 3, true);
    expect(output(8)).toBe(-ERRNO.EBUSY);
    world.arena.view.setUint32(cpu + CPU.outputNesting, 2, true);
    expect(output(8)).toBe(0);
    expect(u32At(cpu + CPU.outputNesting)).toBe(2);
    expect(map.closeBuffer(1)).toBe(true);
    expect(output(8)).toBe(-ERRNO.ENOENT);
  });

  it("writes PERF_RECORD_SAMPLE with the fields asked for, in the kernel's order", () => {
    const { IDENTIFIER, TID, TIME, ID, CPU: CPU_BIT, RAW } = PERF_SAMPLE;
    const buffer = map.openBuffer(1, {
      pages: 1,
      sampleType: IDENTIFIER | TID | TIME | ID | CPU_BIT | RAW,
      sampleId: 0x1234_5678_9abcn,
    });
    const event = u32At(world.arena.cpu(1) + CPU.event);
    const task = u32At(event + EVENT.task);
    world.arena.view.setBigUint64(event + EVENT.time, 77_000_000_000n, true);
    world.arena.view.setUint32(task + TASK.pid, 12, true);
    world.arena.view.setUint32(task + TASK.tgid, 10, true);
    expect(output(9)).toBe(0);
    const at = buffer + PERF_BUFFER.headerBytes;
    expect(u64At(buffer + PERF_BUFFER.dataHead)).toBe(64n);
    expect(u32At(at)).toBe(PERF_RECORD.SAMPLE);
    expect(u32At(at + 4)).toBe((64 << 16) | PERF_RECORD.MISC_KERNEL);
    expect(u64At(at + 8)).toBe(0x1234_5678_9abcn);
    expect([u32At(at + 16), u32At(at + 20)]).toEqual([10, 12]);
    expect(u64At(at + 24)).toBe(77_000_000_000n);
    expect(u64At(at + 32)).toBe(0x1234_5678_9abcn);
    expect([u32At(at + 40), u32At(at + 44)]).toEqual([1, 0]);
    // the raw size counts the padding that makes the record a multiple of 8
    expect(u32At(at + 48)).toBe(12);
    expect([...world.arena.bytes.slice(at + 52, at + 64)]).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 0, 0, 0]);
    const seen: unknown[] = [];
    new PerfReader(map).drain((address, length, cpu, time) => seen.push(address - at, length, cpu, time));
    expect(seen).toEqual([52, 12, 1, 77_000_000_000n]);
    expect(u64At(buffer + PERF_BUFFER.dataTail)).toBe(64n);
  });

  it("loses what finds no room and says so before the next record", () => {
    const buffer = map.openBuffer(1, { pages: 1 });
    const lost: [bigint, number | null][] = [];
    const reader = new PerfReader(map, { onLost: (count, cpu) => lost.push([count, cpu]) });
    let written = 0;
    while (output(100) === 0) written += 1;
    // 112 bytes a record, one byte stays free
    expect(written).toBe(Math.floor(4095 / 112));
    expect(output(100)).toBe(-ERRNO.ENOSPC);
    expect(world.arena.view.getUint32(world.worker + WORKER.yield, true)).toBe(1);
    expect(reader.drain(() => {})).toBe(written);
    expect(lost).toEqual([]);
    const head = Number(u64At(buffer + PERF_BUFFER.dataHead));
    expect(output(1)).toBe(0);
    const at = buffer + PERF_BUFFER.headerBytes + (head % 4096);
    expect(u32At(at)).toBe(PERF_RECORD.LOST);
    expect(u32At(at + 4)).toBe(24 << 16);
    expect([u64At(at + 8), u64At(at + 16)]).toEqual([2n, 2n]);
    expect(reader.drain(() => {})).toBe(1);
    expect(lost).toEqual([[2n, 1]]);
    expect(reader.lost).toBe(2n);
    expect(output(1)).toBe(0);
    expect(reader.drain(() => {})).toBe(1);
    expect(lost.length).toBe(1);
  });

  it("cuts a record that is longer than the 64 KiB that its size can say", () => {
    map.openBuffer(1, { pages: 64 });
    expect(output(65_507)).toBe(0);
    expect(map.cut).toBe(0n);
    // 65,536 bytes and 65,536 + 32 of them: the kernel keeps 16 bits of that, and says 0
    expect([output(65_517), map.lost, map.cut]).toEqual([0, 1n, 0n]);
    expect([output(65_555), map.lost, map.cut]).toEqual([0, 1n, 1n]);
    const lengths: number[] = [];
    new PerfReader(map).drain((_address, length) => lengths.push(length));
    expect(lengths).toEqual([65_508, 32 - 12]);
  });

  it("keeps every record contiguous across the end of the buffer", () => {
    map.openBuffer(1, { pages: 1 });
    const reader = new PerfReader(map);
    let read = 0;
    for (let step = 0; step < 2000; step++) {
      const size = (step * 41) % 1300;
      expect(output(size)).toBe(0);
      if (step % 2 === 1)
        read += reader.drain((address, length) => {
          const { buffer } = world.arena.bytes;
          const same = Buffer.compare(
            Buffer.from(buffer, address, length - 7),
            Buffer.from(buffer, source, length - 7),
          );
          if (length > 7) expect(same).toBe(0);
        });
    }
    expect(read).toBe(2000);
    expect(reader.lost).toBe(0n);
  });

  it("appends the packet where the upper half of the flags says how much", () => {
    map.openBuffer(1, { pages: 1 });
    const packet = place(world, [1, 2, 3, 4, 5, 6]);
    const write = (kind: "skb" | "xdp", flags: bigint) => {
      const spec = kind === "skb" ? CTX.sched_cls : CTX.xdp_md;
      const ctx = world.arena.allocate(spec.size);
      const offsetOf = (name: string) => spec.fields.find((field) => field.name === name)!.offset;
      world.arena.view.setUint32(ctx + offsetOf("data"), packet, true);
      world.arena.view.setUint32(ctx + offsetOf("data_end"), packet + 6, true);
      const call = kind === "skb" ? world.library.perf_event_output_skb : world.library.perf_event_output_xdp;
      return call(ctx, map.address, flags, source, 3);
    };
    for (const kind of ["skb", "xdp"] as const) {
      expect(write(kind, CURRENT_CPU | (5n << 32n))).toBe(0);
      expect(write(kind, CURRENT_CPU | (7n << 32n))).toBe(-ERRNO.EFAULT);
      expect(write(kind, CURRENT_CPU | (1n << 52n))).toBe(-ERRNO.EINVAL);
      const seen: number[][] = [];
      using reader = new PerfReader(map);
      reader.drain((address, length) => seen.push([...world.arena.bytes.slice(address, address + length)]));
      expect(seen).toEqual([[0, 3, 6, 1, 2, 3, 4, 5, 0, 0, 0, 0]]);
    }
  });

  it("hands out records of all CPUs in order of time where asked to", () => {
    const sampleType = PERF_SAMPLE.TIME | PERF_SAMPLE.RAW;
    for (const cpu of [0, 1, 2]) map.openBuffer(cpu, { pages: 1, sampleType });
    for (let time = 1; time <= 30; time++) {
      const cpu = (time * 7) % 3;
      world.onCpu(cpu);
      const event = u32At(world.arena.cpu(cpu) + CPU.event);
      world.arena.view.setBigUint64(event + EVENT.time, BigInt(time), true);
      expect(output(4)).toBe(0);
    }
    const times: bigint[] = [];
    new PerfReader(map, { ordered: true }).drain((_address, _length, _cpu, time) => times.push(time!));
    expect(times).toEqual(Array.from({ length: 30 }, (_, i) => BigInt(i + 1)));
  });

  it("refuses buffers that the kernel could not make", () => {
    const usage = (action: () => unknown) => expect(action).toThrow(expect.objectContaining({ code: "USAGE" }));
    usage(() => map.openBuffer(0, { pages: 3 }));
    usage(() => map.openBuffer(0, { pages: 0 }));
    usage(() => map.openBuffer(0, { sampleType: 1 << 4 }));
    expect(() => map.openBuffer(9)).toThrow(expect.objectContaining({ errno: "E2BIG" }));
    map.openBuffer(0);
    expect(() => map.openBuffer(0)).toThrow(expect.objectContaining({ errno: "EBUSY" }));
  });
});
