/** Call chains in the records of perf buffers: as they came with the event, with their markers. Kernel: perf_output_sample(). */
import { beforeEach, describe, expect, it } from "vitest";
import { createMap, type PerfEventArrayMap } from "../../runtime/maps/index.ts";
import { PerfReader } from "../../runtime/rings/index.ts";
import { CHAIN_CONTEXT, CPU, EVENT, PERF_BUFFER, PERF_SAMPLE } from "../../spec/index.ts";
import { mapSpec } from "../maps/spec.ts";
import { makeWorld, place, type TestWorld } from "../maps/world.ts";

const CURRENT_CPU = 0xffff_ffffn;
const TYPE = PERF_SAMPLE.CPU | PERF_SAMPLE.CALLCHAIN | PERF_SAMPLE.RAW;
let world: TestWorld;
let map: PerfEventArrayMap;

beforeEach(() => {
  world = makeWorld();
  const spec = mapSpec({ type: "perf_event_array", keySize: 4, valueSize: 4, maxEntries: 0 });
  map = createMap(world, spec) as PerfEventArrayMap;
  world.onCpu(0);
});

/** The event that runs has this chain from now on. */
function setChain(words: readonly bigint[]): void {
  const bytes = new Uint8Array(BigUint64Array.from([BigInt(words.length), ...words]).buffer);
  const { view } = world.arena;
  const event = view.getUint32(world.arena.cpu(0) + CPU.event, true);
  view.setUint32(event + EVENT.flags, place(world, bytes), true);
}

const output = (size: number, value = 0): number => {
  const source = place(world, new Uint8Array(Math.max(8, size)));
  world.arena.view.setUint32(source, value, true);
  return world.library.perf_event_output(0, map.address, CURRENT_CPU, source, size);
};
const CHAIN = [CHAIN_CONTEXT.KERNEL, 0xffff_ffff_8100_0000n, CHAIN_CONTEXT.USER, 0x40_1000n];

function drained(): number[][] {
  const found: number[][] = [];
  new PerfReader(map).drain((address, length) => found.push([world.arena.view.getUint32(address, true), length]));
  return found;
}

describe("a sample with a call chain", () => {
  it("holds what the event has", () => {
    const buffer = map.openBuffer(0, { pages: 1, sampleType: TYPE });
    setChain(CHAIN);
    expect(output(4, 7)).toBe(0);
    const data = world.arena.view.getUint32(buffer + PERF_BUFFER.data, true);
    const words = Array.from({ length: 8 }, (_, index) => world.arena.view.getBigUint64(data + 8 * index, true));
    const header = 9n | (1n << 32n) | (64n << 48n);
    expect(words).toEqual([header, 0n, BigInt(CHAIN.length), ...CHAIN, 4n | (7n << 32n)]);
    expect(drained()).toEqual([[7, 4]]);
  });

  it("is read where some events have one and some none, committed ones among them", () => {
    map.openBuffer(0, { pages: 1, sampleType: TYPE });
    output(4, 1);
    setChain(CHAIN);
    output(4, 2);
    const sample = world.library.perf_reserve(map.address, 4, CURRENT_CPU) >>> 0;
    world.arena.view.setUint32(sample, 3, true);
    world.library.bpf_perf_commit(sample);
    const given = world.library.perf_reserve(map.address, 4, CURRENT_CPU) >>> 0;
    world.library.bpf_perf_discard(given);
    output(4, 4);
    expect(drained()).toEqual([1, 2, 3, 4].map((value) => [value, 4]));
  });

  it("longer than its header can say is cut behind the chain, or is none", () => {
    map.openBuffer(0, { pages: 64, sampleType: TYPE });
    setChain(CHAIN);
    // 64 bytes are left of the first, which head and size word fit into, 24 of the second
    expect(output(0x1_0000, 5)).toBe(0);
    expect(output(0x1_0000 - 40, 6)).toBe(0);
    const [first, ...rest] = drained();
    expect(first).toEqual([5, 4]);
    expect(rest).toEqual([]);
  });
});
