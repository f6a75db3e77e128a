/** Test runs where the kernel has none, or takes less: tracepoints, raw programs, devices, repeated runs. */
import { describe, expect, it } from "vitest";
import { createRuntime } from "../../runtime/index.ts";
import { compile } from "./compile.ts";

const COUNT = `
; prog: tracepoint name=count target=test/event section=tp/test/event
; map: out array key=4 value=8 max=1
  r7 = map[out][0] ll
  r2 = *(u64 *)(r7 + 0)
  r2 += 1
  *(u64 *)(r7 + 0) = r2
  r0 = *(u32 *)(r1 + 8)
  exit
`;
const SUM = `
; prog: raw name=sum mem=4
  r0 = *(u8 *)(r1 + 0)
  r2 = *(u8 *)(r1 + 3)
  r0 += r2
  *(u8 *)(r1 + 1) = r0
  r0 -= 1000
  exit
`;

describe("a test run of a tracepoint", () => {
  it("takes the payload as its context, and gives it back when asked to", async () => {
    await using runtime = createRuntime();
    const { count } = (await runtime.link(await compile(COUNT))).programs;
    const ctxIn = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 9, 8, 7, 6);
    const result = count!.testRun({ ctxIn });
    expect(result).toMatchObject({ retval: 0x0607_0809, dataOut: null, repeat: 1 });
    expect(result.ctxOut).toEqual(ctxIn);
    expect(count!.testRun({ ctxIn, ctxOut: false }).ctxOut).toBeNull();
    expect(() => count!.testRun({ ctxIn: ctxIn.subarray(0, 11) })).toThrow(
      expect.objectContaining({ errno: "EINVAL" }),
    );
    expect(() => count!.testRun({ ctxIn, dataIn: ctxIn })).toThrow(expect.objectContaining({ errno: "EINVAL" }));
  });

  it.each([
    [0, 1],
    [1, 1],
    [2, 2],
    [4098, 4098],
    [10_000, 10_000],
  ])("runs %i times as asked", async (repeat, runs) => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compile(COUNT));
    const result = object.programs.count!.testRun({ ctxIn: new Uint8Array(12), repeat });
    expect(result.repeat).toBe(runs);
    expect(result.durationNs).toBeGreaterThanOrEqual(0);
    const counted = Buffer.from(object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array).readBigUInt64LE(0);
    expect(counted).toBe(BigInt(runs));
  });

  it.each([Number.NaN, 1.5, Number.POSITIVE_INFINITY])("refuses %d runs", async (repeat) => {
    await using runtime = createRuntime();
    const { count } = (await runtime.link(await compile(COUNT))).programs;
    expect(() => count!.testRun({ ctxIn: new Uint8Array(12), repeat })).toThrow(
      expect.objectContaining({ code: "USAGE" }),
    );
  });
});

describe("a test run of a raw program", () => {
  it("works on a copy of the memory, whose length it was compiled for", async () => {
    await using runtime = createRuntime();
    const { sum } = (await runtime.link(await compile(SUM))).programs;
    const dataIn = Uint8Array.of(3, 0, 0, 4);
    const result = sum!.testRun({ dataIn });
    expect(result).toMatchObject({ r0: 2n ** 64n - 993n, retval: 2 ** 32 - 993 });
    expect(result.dataOut).toEqual(Uint8Array.of(3, 7, 0, 4));
    expect(dataIn).toEqual(Uint8Array.of(3, 0, 0, 4));
    expect(() => sum!.testRun({ dataIn: new Uint8Array(5) })).toThrow(expect.objectContaining({ errno: "EINVAL" }));
    expect(() => sum!.testRun()).toThrow(expect.objectContaining({ errno: "EINVAL" }));
  });
});

describe("devices of a runtime", () => {
  const device = { ifindex: 4, address: [2, 0, 0, 0, 0, 1], broadcast: [255, 255, 255, 255, 255, 255], rxQueues: 2 };
  const TYPE = "; prog: socket_filter name=type\n  r0 = *(u32 *)(r1 + 4)\n  exit\n";
  const QUEUE =
    "; prog: xdp name=queue\n  r0 = *(u32 *)(r1 + 12)\n  r0 *= 10\n  r2 = *(u32 *)(r1 + 16)\n  r0 += r2\n  exit\n";

  it("decide what a packet's type is", async () => {
    await using runtime = createRuntime({ devices: [device] });
    const { type } = (await runtime.link(await compile(TYPE))).programs;
    const ctxIn = Buffer.alloc(192);
    ctxIn.writeUInt32LE(4, 40);
    const typeOf = (first: readonly number[]): number =>
      type!.testRun({ dataIn: Uint8Array.from([...first, ...new Array(14 - first.length).fill(0)]), ctxIn }).retval;
    expect([typeOf(device.address), typeOf(device.broadcast), typeOf([1]), typeOf([0])]).toEqual([0, 1, 2, 3]);
  });

  it("have receive queues", async () => {
    await using runtime = createRuntime({ devices: [device] });
    const { queue } = (await runtime.link(await compile(QUEUE))).programs;
    const run = (...fields: number[]): number =>
      queue!.testRun({ dataIn: new Uint8Array(60), ctxIn: new Uint8Array(Uint32Array.from(fields).buffer) }).retval;
    expect(run(0, 60, 0, 4, 1)).toBe(41);
    expect(() => run(0, 60, 0, 4, 2)).toThrow(expect.objectContaining({ errno: "EINVAL" }));
    expect(() => run(0, 60, 0, 5, 0)).toThrow(expect.objectContaining({ errno: "ENODEV" }));
  });
});
