/** Workers on threads: what comes out does not depend on their number; errors, deaths, the end. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { BugError } from "../../base/index.ts";
import { createRuntime, type MapValue, openReader, type PerfEventArrayMap } from "../../runtime/index.ts";
import type { RingbufMap } from "../../runtime/maps/index.ts";
import { compile } from "../runtime/compile.ts";
import { type FakeEvent, FakeSource } from "../runtime/fake-source.ts";
import { handMadeObject, OP } from "../runtime/module.ts";
import { placeEvents } from "./events.ts";
import { CHANGE, COUNT, RECORD } from "./programs.ts";

const CPUS = 4;

function payload(key: number, sequence: number): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt32LE(key, 8);
  bytes.writeUInt32LE(sequence, 12);
  return bytes;
}
const events = (count: number): FakeEvent[] =>
  Array.from({ length: count }, (_, n) => ({
    name: "test/event",
    payload: payload((n * 7) % 97, n),
    cpu: (n * 5 + (n >> 4)) % CPUS,
    timeNs: BigInt(n),
    pid: 100 + (n % 3),
  }));
const source = (count: number): FakeSource => new FakeSource(events(count), { cpus: CPUS, batchEvents: 1000 });

const hex = (value: MapValue): string | string[] =>
  value instanceof Uint8Array
    ? Buffer.from(value).toString("hex")
    : value.map((one) => Buffer.from(one).toString("hex"));

describe("workers", () => {
  it("count the same, whatever their number", async () => {
    const compiled = await compile(COUNT);
    const outcomes: unknown[] = [];
    for (const workers of [0, 1, 2, 3]) {
      await using runtime = createRuntime({ cpus: CPUS, workers });
      const object = await runtime.link(compiled);
      const link = object.programs.count!.attach();
      const { events: ran } = await runtime.run(source(5000), { concurrent: true });
      const maps = ["total", "own", "keys", "seen"].map((name) =>
        [...object.maps[name]!.entries()].map(({ key, value }) => [hex(key), hex(value)]).sort(),
      );
      outcomes.push({ ran, runs: link.runs, misses: link.misses, maps });
    }
    expect(outcomes[0]).toMatchObject({ ran: 5000, runs: 5000, misses: 0 });
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0]);
  });

  for (const strictRings of [[], ["ring"]])
    it(`write the same records, ${strictRings.length > 0 ? "to one ring" : "each to a lane"}, and readers lose none`, async () => {
      const compiled = await compile(RECORD);
      const byCpu: unknown[] = [];
      for (const workers of [0, 2]) {
        await using runtime = createRuntime({ cpus: CPUS, workers });
        const object = await runtime.link(compiled, { strictRings });
        const ring = object.maps.ring as RingbufMap;
        const perf = object.maps.events as PerfEventArrayMap;
        for (let cpu = 0; cpu < CPUS; cpu++) perf.openBuffer(cpu, { pages: 1 });
        expect(ring.rings.length).toBe(strictRings.length > 0 ? 1 : workers + 1);
        object.programs.record!.attach();
        const readers = [openReader(ring), openReader(perf)];
        const found = readers.map(() => Array.from({ length: CPUS }, () => [] as number[]));
        const drain = (): void => {
          for (const [index, reader] of readers.entries())
            reader.drain((address) => {
              const { view } = runtime.world;
              found[index]![view.getUint32(address, true)]!.push(view.getUint32(address + 4, true));
            });
        };
        const { events: ran } = await runtime.run(source(5000), { drain });
        drain();
        expect([ran, ...readers.map(({ lost }) => lost)]).toEqual([5000, 0n, 0n]);
        byCpu.push(found);
      }
      expect(byCpu[1]).toEqual(byCpu[0]);
    });

  it("are read in order of time, and asked about all their rings at once", async () => {
    await using runtime = createRuntime({ cpus: CPUS, workers: 2 });
    const object = await runtime.link(await compile(RECORD));
    const ring = object.maps.ring as RingbufMap;
    object.programs.record!.attach();
    // times are kept from the reader on, of rings in use too
    await runtime.run(source(100));
    const first = openReader(ring);
    first.drain(() => {});
    first.close();
    const reader = openReader(ring, { ordered: true });
    await runtime.run(source(100));
    const query = (what: bigint): bigint => runtime.world.library.ringbuf_query(ring.address, what);
    expect([query(0n), query(1n), query(2n), query(3n)]).toEqual([1600n, 3n * 4096n, 1600n, 3200n]);
    const times: bigint[] = [];
    reader.drain((_address, _length, _cpu, time) => void times.push(time!));
    expect(times).toEqual(Array.from({ length: 100 }, (_, n) => BigInt(n)));
    expect([query(0n), query(2n)]).toEqual([0n, 3200n]);
  });

  it("ask the main thread for memory that came with the events, and hand on what programs print", async () => {
    const lines: string[] = [];
    await using runtime = createRuntime({ workers: 1, trace: (line) => lines.push(line) });
    const object = await runtime.link(
      await compile(`
; prog: tracepoint name=read target=test/event section=tp/test/event
  r6 = r1
  r1 = r10
  r1 += -8
  r2 = 8
  r3 = *(u64 *)(r6 + 8)
  call bpf_probe_read_user_str
  *(u32 *)(r10 - 16) = 0x000a7325
  r1 = r10
  r1 += -16
  r2 = 4
  r3 = r10
  r3 += -8
  call bpf_trace_printk
  r0 = 0
  exit
`),
    );
    object.programs.read!.attach();
    const at = 0x7000_0000_1000n;
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(at, 8);
    const given = Array.from({ length: 3 }, () => ({ name: "test/event", payload: bytes }));
    await runtime.run(new FakeSource(given, { memory: new Map([[at, Buffer.from("abc\0")]]) }));
    expect(lines).toEqual(["abc\n", "abc\n", "abc\n"]);
  });

  it("install objects that are linked while they run, and forget those that are closed", async () => {
    await using runtime = createRuntime({ cpus: CPUS, workers: 2 });
    const compiled = await compile(COUNT);
    const first = await runtime.link(compiled);
    first.programs.count!.attach();
    const running = runtime.run(source(3000), { concurrent: true });
    const second = await runtime.link(compiled);
    second.programs.count!.attach();
    await running;
    first.close();
    await runtime.run(source(1000), { concurrent: true });
    const total = second.maps.total!.lookup(new Uint8Array(4)) as Uint8Array;
    const counted = Number(Buffer.from(total).readBigUInt64LE());
    expect(counted).toBeGreaterThanOrEqual(1000);
    expect(counted).toBeLessThanOrEqual(4000);
  });

  it("run events in their order where programs on one CPU see what those on another did", async () => {
    // keeps the largest sequence number so far, and counts events that come behind a later one
    const compiled = await compile(`
; prog: tracepoint name=order target=test/event section=tp/test/event
; map: state array key=4 value=16 max=1
  r2 = *(u32 *)(r1 + 12)
  r1 = map[state][0] ll
  r3 = *(u64 *)(r1 + 0)
  if r2 >= r3 goto later
  r3 = *(u64 *)(r1 + 8)
  r3 += 1
  *(u64 *)(r1 + 8) = r3
  goto out
later:
  *(u64 *)(r1 + 0) = r2
out:
  r0 = 0
  exit
`);
    for (const workers of [0, 1, 2]) {
      await using runtime = createRuntime({ cpus: CPUS, workers });
      const object = await runtime.link(compiled);
      object.programs.order!.attach();
      await runtime.run(source(4000));
      const state = Buffer.from(object.maps.state!.lookup(new Uint8Array(4)) as Uint8Array);
      expect([state.readBigUInt64LE(0), state.readBigUInt64LE(8)]).toEqual([3999n, 0n]);
    }
  });

  it("hand on what a program breaks off with, and go on", async () => {
    await using runtime = createRuntime({ cpus: CPUS, workers: 2 });
    const object = await runtime.link(
      handMadeObject("event", { body: [OP.unreachable] }, { program: { section: "tp/test/event" } }),
    );
    const link = object.programs.event!.attach();
    const error = await runtime.run(source(10)).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(BugError);
    expect(error).toMatchObject({ code: "PROGRAM_TRAPPED", where: { program: "event" } });
    link.detach();
    const other = await runtime.link(await compile(COUNT));
    other.programs.count!.attach();
    expect((await runtime.run(source(100))).events).toBe(100);
    expect(runtime.crew!.losses).toEqual([]);
  });

  it("may be killed anywhere: events begin once, and the rest runs", async () => {
    const [count, times, kills] = [4000, 400, 8];
    await using runtime = createRuntime({ cpus: CPUS, workers: 2 });
    const object = await runtime.link(await compile(COUNT));
    object.programs.count!.attach();
    const crew = runtime.crew!;
    const at = placeEvents(runtime, count, (n) => ({ key: (n * 7) % 97, number: n }));
    await crew.run(at, count);
    let isOver = false;
    const running = crew.run(at, count, { times }).finally(() => {
      isOver = true;
    });
    for (let n = 0; n < kills && !isOver; n++) {
      await new Promise((resolve) => setTimeout(resolve, 30 + 17 * (n % 3)));
      await crew.kill((n % 2) + 1);
    }
    expect(await running).toBe(count * times);
    const { losses } = crew;
    expect(losses.length).toBeGreaterThan(2);
    const begun = count * (times + 1);
    const number = (value: MapValue): number => Number(Buffer.from(value as Uint8Array).readBigUInt64LE());
    const sumOf = (map: string): number => {
      let sum = 0;
      for (const { value } of object.maps[map]!.entries())
        for (const one of value instanceof Uint8Array ? [value] : value) sum += number(one);
      return sum;
    };
    // an event in which a worker died may be counted by some maps and not by others
    const undone = losses.filter(({ inEvent }) => inEvent).length;
    for (const map of ["total", "own", "keys", "seen"]) {
      expect(sumOf(map)).toBeLessThanOrEqual(begun);
      expect(sumOf(map)).toBeGreaterThanOrEqual(begun - undone);
    }
  });

  it("leave no lock that the main thread waits for in vain, although it gets no turn to learn of a death", async () => {
    await using runtime = createRuntime({ cpus: CPUS, workers: 2 });
    const object = await runtime.link(await compile(CHANGE));
    object.programs.change!.attach();
    const crew = runtime.crew!;
    const map = object.maps.keys!;
    const at = placeEvents(runtime, 4000, (n) => ({ key: n % 97, number: n }));
    await crew.run(at, 4000);
    const key = Buffer.from([250, 0, 0, 0]);
    for (let round = 0; round < 12; round++) {
      const running = crew.run(at, 4000, { times: 100 });
      await new Promise((resolve) => setTimeout(resolve, 3 + round));
      const killing = crew.kill(1 + (round % 2));
      const until = performance.now() + 15;
      for (let n = 0; performance.now() < until; n++) {
        const value = Buffer.alloc(8);
        value.writeUInt32LE(n);
        map.update(key, value);
        expect(map.lookup(key)).toEqual(new Uint8Array(value));
      }
      await killing;
      expect(await running).toBe(400_000);
    }
    expect(crew.losses.length).toBe(12);
  });

  it("do not keep the process, and end with the runtime", () => {
    const script = `
      import { createRuntime } from ${JSON.stringify(built("runtime/index.js"))};
      const runtime = createRuntime({ workers: 2, cpus: 2 });
      await runtime.crew.start();
      if (process.argv[1] === "close") await runtime[Symbol.asyncDispose]();
      process.stdout.write("done");
    `;
    for (const argument of ["close", "leave"]) {
      const { stdout, status } = spawnSync(process.execPath, ["--input-type=module", "-e", script, argument], {
        timeout: 20_000,
      });
      expect([stdout.toString(), status]).toEqual(["done", 0]);
    }
  });
});

const built = (path: string): string => fileURLToPath(new URL(`../../dist/${path}`, import.meta.url));
