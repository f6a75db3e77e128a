/** Programs that reserve and commit records of a perf buffer, from text assembly on: what they store is what a reader gets. */
import { describe, expect, it } from "vitest";
import { createRuntime, openReader, type PerfEventArrayMap, PerfReader } from "../../runtime/index.ts";
import { PERF_SAMPLE } from "../../spec/index.ts";
import { compileWith } from "../runtime/compile.ts";

/** Stores of every width, an atomic, and a helper's output go into the record; odd packets are discarded. */
const RESERVE = `
; prog: xdp name=reserve
; map: events perf_event_array key=4 value=4 max=2
  r2 = *(u32 *)(r1 + 0)
  r3 = *(u32 *)(r1 + 4)
  r4 = r2
  r4 += 4
  if r4 > r3 goto none
  r7 = *(u32 *)(r2 + 0)
  r1 = map[events] ll
  r2 = 48
  r3 = 0xffffffff ll
  call bpf_perf_reserve
  if r0 == 0 goto none
  r6 = r0
  *(u64 *)(r6 + 0) = r7
  *(u32 *)(r6 + 8) = 5
  *(u16 *)(r6 + 12) = 6
  *(u8 *)(r6 + 14) = 7
  *(u8 *)(r6 + 15) = 8
  r1 = 9
  *(u64 *)(r6 + 16) = r1
  lock *(u64 *)(r6 + 16) += r1
  *(u64 *)(r6 + 24) = 0
  r1 = r6
  r1 += 32
  r2 = 16
  call bpf_get_current_comm
  r1 = r6
  r7 &= 1
  if r7 != 0 goto odd
  call bpf_perf_commit
  r0 = 1
  exit
odd:
  call bpf_perf_discard
  r0 = 2
  exit
none:
  r0 = 3
  exit
`;

const packet = (n: number): Uint8Array => {
  const bytes = new Uint8Array(64);
  new DataView(bytes.buffer).setUint32(0, n, true);
  return bytes;
};
const task = { pid: 12, tgid: 11, uid: 0, gid: 0, comm: "writer" };

describe.each([0, 2] as const)("reserve and commit, optimised %i", (optimize) => {
  it("hands the reader what the program stored, without the discarded ones", async () => {
    await using runtime = createRuntime({ cpus: 2 });
    await using object = await runtime.link(await compileWith({ optimize }, RESERVE));
    const map = object.maps.events as PerfEventArrayMap;
    const program = object.programs.reserve!;
    expect(program.testRun({ dataIn: packet(2), task }).retval).toBe(3);
    map.openBuffer(0, { pages: 1, sampleType: PERF_SAMPLE.TIME | PERF_SAMPLE.RAW });
    const reader = openReader(map);
    let seen = 0;
    for (let n = 0; n < 300; n++) {
      expect(program.testRun({ dataIn: packet(n), task, timeNs: BigInt(n) }).retval).toBe(1 + (n & 1));
      reader.drain((address, length, cpu, time) => {
        const { view, bytes } = runtime.world.arena;
        expect([length, cpu, time]).toEqual([52, 0, BigInt(n)]);
        expect(view.getBigUint64(address, true)).toBe(BigInt(n));
        expect([...bytes.slice(address + 8, address + 16)]).toEqual([5, 0, 0, 0, 6, 0, 7, 8]);
        expect([view.getBigUint64(address + 16, true), view.getBigUint64(address + 24, true)]).toEqual([18n, 0n]);
        expect(Buffer.from(bytes.slice(address + 32, address + 39)).toString("latin1")).toBe("writer\0");
        expect([...bytes.slice(address + 48, address + 52)]).toEqual([0, 0, 0, 0]);
        seen += 1;
      });
    }
    expect([seen, map.lost]).toEqual([150, 0n]);
  });

  it("gives the consumer's own format nothing but its bytes", async () => {
    await using runtime = createRuntime({ cpus: 2 });
    await using object = await runtime.link(await compileWith({ optimize }, RESERVE));
    const map = object.maps.events as PerfEventArrayMap;
    map.openBuffer(1, { pages: 1, format: "bare" });
    const reader = new PerfReader(map, { framing: () => 48 });
    for (let n = 0; n < 200; n++) {
      expect(object.programs.reserve!.testRun({ dataIn: packet(n), task, cpu: 1 }).retval).toBe(1 + (n & 1));
      const seen: number[] = [];
      reader.drain((address, length) => seen.push(runtime.world.arena.view.getUint32(address, true), length));
      expect(seen).toEqual(n % 2 === 0 ? [n, 48] : []);
    }
  });
});
