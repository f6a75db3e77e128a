/** Sources pumped through hooks: order, what is skipped, the end, readers that are slow, cancelling, damage. */
import { describe, expect, it } from "vitest";
import { CaptureError } from "../../base/index.ts";
import { createRuntime, openReader, RingbufMap } from "../../runtime/index.ts";
import { compile } from "./compile.ts";
import { type FakeEvent, FakeSource } from "./fake-source.ts";
import { handMadeObject, OP } from "./module.ts";

/** Copies 8 bytes of the payload into a record. */
const RECORD = (ringBytes: number): string => `
; prog: tracepoint name=record target=test/event section=tp/test/event
; map: ring ringbuf max=${ringBytes}
  r6 = *(u64 *)(r1 + 8)
  *(u64 *)(r10 - 8) = r6
  r1 = map[ring] ll
  r2 = r10
  r2 += -8
  r3 = 8
  r4 = 0
  call bpf_ringbuf_output
  r0 = 0
  exit
`;
/** Notes pid, time, CPU and what a user address of the payload holds. */
const AMBIENT = `
; prog: tracepoint name=ambient target=test/event section=tp/test/event
; map: out array key=4 value=64 max=1
  r6 = r1
  r7 = map[out][0] ll
  call bpf_get_current_pid_tgid
  *(u64 *)(r7 + 0) = r0
  call bpf_ktime_get_ns
  *(u64 *)(r7 + 8) = r0
  call bpf_get_smp_processor_id
  *(u64 *)(r7 + 16) = r0
  r1 = r7
  r1 += 24
  r2 = 8
  r3 = *(u64 *)(r6 + 8)
  call bpf_probe_read_user
  *(u64 *)(r7 + 32) = r0
  r1 = r7
  r1 += 40
  r2 = 8
  r3 = *(u64 *)(r6 + 8)
  call bpf_probe_read_user_str
  *(u64 *)(r7 + 48) = r0
  r0 = 0
  exit
`;

const payload = (value: number | bigint): Uint8Array => {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(BigInt(value), 8);
  return bytes;
};
const event = (value: number, detail: Partial<FakeEvent> = {}): FakeEvent => ({
  name: "test/event",
  payload: payload(value),
  ...detail,
});
const events = (count: number): FakeEvent[] => Array.from({ length: count }, (_, index) => event(index));
const numberIn = (data: Uint8Array): number => Number(Buffer.from(data).readBigUInt64LE(0));
const counting = () => handMadeObject("event", { body: [OP.i64Const, 0] });

describe("pump", () => {
  it("runs every event in order, and drains in place when a buffer fills", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compile(RECORD(4096)));
    object.programs.record!.attach();
    const reader = openReader(object.maps.ring as RingbufMap);
    const seen: number[] = [];
    const drain = (): void => {
      reader.drain((address) => {
        seen.push(Number(runtime.world.view.getBigUint64(address, true)));
      });
    };
    const summary = await runtime.run(new FakeSource(events(2000)), { drain });
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, index) => index));
    expect(summary).toEqual({ events: 2000, lost: [], missing: [], truncated: null, aborted: false });
    expect(reader.lost).toBe(0n);
  });

  it("waits for a reader that takes its time: nothing is lost", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compile(RECORD(4096)));
    object.programs.record!.attach();
    const reader = openReader(object.maps.ring as RingbufMap);
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { data } of reader) {
        seen.push(numberIn(data));
        if (seen.length % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const { events: ran } = await runtime.run(new FakeSource(events(2000)), { readers: [reader] });
    reader.end();
    await reading;
    expect(ran).toBe(2000);
    expect(seen).toEqual(Array.from({ length: 2000 }, (_, index) => index));
    expect(reader.lost).toBe(0n);
  });

  it("goes on when nobody reads: the ring counts what it drops, as in the kernel", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compile(RECORD(4096)));
    const link = object.programs.record!.attach();
    await runtime.run(new FakeSource(events(1000)));
    const ring = object.maps.ring as RingbufMap;
    expect(link.runs).toBe(1000);
    expect(ring).toBeInstanceOf(RingbufMap);
    // a record takes 16 bytes, and one byte of the ring is never used
    expect(ring.dropped).toBe(BigInt(1000 - (4096 / 16 - 1)));
  });

  it("gives programs the event's task, time, CPU and memory", async () => {
    await using runtime = createRuntime({ cpus: 4 });
    const object = await runtime.link(await compile(AMBIENT));
    object.programs.ambient!.attach();
    const memory = new Map([[0x7000_1000n, new TextEncoder().encode("text\0more")]]);
    const source = new FakeSource([event(0x7000_1000, { timeNs: 777n, cpu: 3, pid: 42 })], { cpus: 4, memory });
    await runtime.run(source);
    const noted = Buffer.from(object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array);
    expect(noted.readBigUInt64LE(0)).toBe((42n << 32n) | 42n);
    expect([noted.readBigUInt64LE(8), noted.readBigUInt64LE(16)]).toEqual([777n, 3n]);
    expect(noted.toString("latin1", 24, 32)).toBe("text\0mor");
    expect([noted.readBigInt64LE(32), noted.toString("latin1", 40, 45), noted.readBigInt64LE(48)]).toEqual([
      0n,
      "text\0",
      5n,
    ]);
    await runtime.run(new FakeSource([event(0x7000_2000)], { memory }));
    const missing = Buffer.from(object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array);
    expect([missing.readBigUInt64LE(0), missing.readBigInt64LE(32), missing.readBigInt64LE(48)]).toEqual([
      0n,
      -14n,
      -14n,
    ]);
    expect(missing.subarray(24, 32)).toEqual(Buffer.alloc(8));
  });

  it("skips events of hooks without links, and names hooks without events", async () => {
    await using runtime = createRuntime();
    const { event: program } = (await runtime.link(counting())).programs;
    const link = program!.attach();
    program!.attach({ hook: runtime.hooks.get("tracepoint", "test/other") });
    const source = new FakeSource([event(1), event(2, { name: "test/unwanted" }), event(3)], {
      events: [{ kind: "tracepoint", name: "test/event", ctxBytes: 16 }],
      lost: [{ count: 3n, cpu: 0 }],
    });
    const summary = await runtime.run(source);
    expect(summary).toMatchObject({ events: 2, lost: [{ count: 3n, cpu: 0 }] });
    expect(summary.missing.map(({ name }) => name)).toEqual(["test/other"]);
    expect([link.runs, source.closed]).toEqual([2, 1]);
  });

  it("runs what comes before damage, and says so", async () => {
    await using runtime = createRuntime();
    const link = (await runtime.link(counting())).programs.event!.attach();
    const failure = new CaptureError("CAPTURE_TRUNCATED", "cut");
    expect(await runtime.run(new FakeSource(events(5), { failure }))).toMatchObject({ events: 5, truncated: failure });
    const malformed = new FakeSource(events(5), { failure: new CaptureError("CAPTURE_MALFORMED", "bad") });
    await expect(runtime.run(malformed)).rejects.toMatchObject({ code: "CAPTURE_MALFORMED" });
    expect([link.runs, malformed.closed]).toEqual([10, 1]);
  });

  it("stops when it is told to, and closes the source", async () => {
    await using runtime = createRuntime();
    (await runtime.link(counting())).programs.event!.attach();
    const abort = new AbortController();
    const source = new FakeSource(events(1000), { batchEvents: 10 });
    const onProgress = ({ events: ran }: { events: number }): void => {
      if (ran === 30) abort.abort();
    };
    expect(await runtime.run(source, { signal: abort.signal, onProgress })).toMatchObject({
      events: 30,
      aborted: true,
    });
    expect(source.closed).toBe(1);
    expect(await runtime.run(new FakeSource(events(5)), { signal: abort.signal })).toMatchObject({
      events: 0,
      aborted: true,
    });
  });

  it("ends when the runtime is closed", async () => {
    const runtime = createRuntime();
    (await runtime.link(counting())).programs.event!.attach();
    const source = new FakeSource(events(1000), { batchEvents: 10 });
    const run = runtime.run(source);
    await runtime[Symbol.asyncDispose]();
    expect(source.closed).toBe(1);
    expect((await run).aborted).toBe(true);
    await expect(runtime.run(source)).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("refuses a source that was run before, whose events are gone", async () => {
    await using runtime = createRuntime();
    (await runtime.link(counting())).programs.event!.attach();
    const source = new FakeSource(events(3));
    await runtime.run(source);
    await expect(runtime.run(source)).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("reports progress after each batch", async () => {
    await using runtime = createRuntime();
    (await runtime.link(counting())).programs.event!.attach();
    const seen: unknown[] = [];
    await runtime.run(new FakeSource(events(5), { batchEvents: 2 }), { onProgress: (progress) => seen.push(progress) });
    expect(seen).toEqual([2, 4, 5].map((done) => ({ done, total: 5, events: done })));
  });

  it("refuses a source with more CPUs than the runtime, and programs that read too much", async () => {
    await using runtime = createRuntime();
    const compiled = handMadeObject("event", { body: [OP.i64Const, 0] }, { program: { ctxBytes: 24 } });
    (await runtime.link(compiled)).programs.event!.attach();
    const large = new FakeSource([], { cpus: 2 });
    await expect(runtime.run(large)).rejects.toMatchObject({ code: "USAGE" });
    const short = new FakeSource([], { events: [{ kind: "tracepoint", name: "test/event", ctxBytes: 16 }] });
    await expect(runtime.run(short)).rejects.toMatchObject({ code: "ATTACH_TYPE", errno: "EACCES" });
    expect([large.closed, short.closed]).toEqual([1, 1]);
  });

  it("gives back what the source took, also when a program traps", async () => {
    await using runtime = createRuntime();
    const { event: program } = (await runtime.link(counting())).programs;
    program!.attach();
    await runtime.run(new FakeSource(events(1)));
    const before = runtime.world.arena.usedBytes;
    await runtime.run(new FakeSource(events(50)));
    expect(runtime.world.arena.usedBytes).toBe(before);
    const { boom } = (await runtime.link(handMadeObject("boom", { body: [OP.unreachable] }))).programs;
    const link = boom!.attach({ hook: runtime.hooks.get("tracepoint", "test/event") });
    const withLink = runtime.world.arena.usedBytes;
    const source = new FakeSource(events(50));
    await expect(runtime.run(source)).rejects.toMatchObject({ code: "PROGRAM_TRAPPED", where: { program: "boom" } });
    expect([runtime.world.arena.usedBytes, source.closed]).toEqual([withLink, 1]);
    link.detach();
    expect(await runtime.run(new FakeSource(events(50)))).toMatchObject({ events: 50 });
  });
});
