/** The whole way: text assembly, verifier, lowering, link, run. */
import { describe, expect, it } from "vitest";
import { createRuntime, type ProgArrayMap } from "../../runtime/index.ts";
import { compileWith } from "./compile.ts";

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: unknown): bigint => Buffer.from(value as Uint8Array).readBigUInt64LE(0);

const COUNT_BY_KEY = `
; prog: tracepoint name=count section=tp/test/event target=test/event
; map: counts hash key=4 value=8 max=16
  r2 = *(u32 *)(r1 + 8)
  *(u32 *)(r10 - 4) = r2
  *(u64 *)(r10 - 16) = 0
  r2 = r10
  r2 += -4
  r1 = map[counts] ll
  call bpf_map_lookup_elem
  if r0 != 0 goto found
  r1 = map[counts] ll
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = 1
  call bpf_map_update_elem
  r1 = map[counts] ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
found:
  r1 = 1
  lock *(u64 *)(r0 + 0) += r1
out:
  r0 = 7
  exit
`;

function payload(key: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(8, key, true);
  return bytes;
}

/** Jumps into slot 0 … 2 as the payload says; 5 where the slot is empty. */
const JUMP = `
; prog: tracepoint name=jump target=test/event section=tp/test/event
; map: jumps prog_array key=4 value=4 max=3
  r3 = *(u32 *)(r1 + 8)
  r2 = map[jumps] ll
  call bpf_tail_call
  r0 = 5
  exit
`;
const TARGET = (name: string, result: number): string => `
; prog: tracepoint name=${name} target=test/${name} section=tp/test/${name}
; map: jumps prog_array key=4 value=4 max=3
  r0 = ${result}
  exit
`;
/** Jumps into itself for ever; counts in the map how often it ran. */
const SPIN = `
; prog: tracepoint name=spin target=test/event section=tp/test/event
; map: jumps prog_array key=4 value=4 max=3
; map: out array key=4 value=8 max=1
  r7 = map[out][0] ll
  r2 = *(u64 *)(r7 + 0)
  r2 += 1
  *(u64 *)(r7 + 0) = r2
  r2 = map[jumps] ll
  r3 = 0
  call bpf_tail_call
  r0 = 9
  exit
`;
const PRINT = `
; prog: raw_tracepoint name=print
; map: out array key=4 value=64 max=1
; map: .rodata array key=4 value=16 max=1 flags=128 frozen initial=2573206973202564202f202570780000
  r6 = r1
  r1 = 0x6b736174
  *(u64 *)(r10 - 32) = r1
  r1 = r10
  r1 += -32
  *(u64 *)(r10 - 24) = r1
  r1 = *(u64 *)(r6 + 0)
  *(u64 *)(r10 - 16) = r1
  r1 = 0x1234
  *(u64 *)(r10 - 8) = r1
  r1 = map[out][0] ll
  r2 = 64
  r3 = map[.rodata][0] ll
  r4 = r10
  r4 += -24
  r5 = 24
  call bpf_snprintf
  exit
`;

describe("end to end", () => {
  it("counts events in a hash map", async () => {
    await using runtime = createRuntime();
    await using object = await runtime.link(await compileWith({}, COUNT_BY_KEY));
    using link = object.programs.count!.attach();
    const hook = runtime.hooks.get("tracepoint", "test/event");
    for (const key of [5, 9, 5, 5]) hook.fire(payload(key));
    expect(u64(object.maps.counts!.lookup(u32(5)))).toBe(3n);
    expect(u64(object.maps.counts!.lookup(u32(9)))).toBe(1n);
    expect(object.maps.counts!.lookup(u32(1))).toBeNull();
    expect(link.runs).toBe(4);
    expect(object.programs.count!.testRun({ ctxIn: payload(9), repeat: 1000 })).toMatchObject({
      retval: 7,
      repeat: 1000,
    });
    expect(u64(object.maps.counts!.lookup(u32(9)))).toBe(1001n);
    expect(link.runs).toBe(4);
  });

  it("tail-calls through a prog array whose slots the object fills", async () => {
    await using runtime = createRuntime();
    const compiled = await compileWith({}, JUMP, TARGET("one", 11), TARGET("two", 22));
    const slots = [
      { index: 0, program: "one" },
      { index: 2, program: "two" },
    ];
    const maps = compiled.manifest.maps.map((map) => ({ ...map, programs: slots }));
    const object = await runtime.link({ ...compiled, manifest: { ...compiled.manifest, maps } });
    const { jump, one } = object.programs;
    const results = [0, 1, 2, 3].map((slot) => jump!.testRun({ ctxIn: payload(slot) }).retval);
    expect(results).toEqual([11, 5, 22, 5]);
    const jumps = object.maps.jumps as ProgArrayMap;
    jumps.setProgram(1, one!);
    jumps.setProgram(0, null);
    expect([0, 1].map((slot) => jump!.testRun({ ctxIn: payload(slot) }).retval)).toEqual([5, 11]);
    const unknown = [{ ...maps[0]!, programs: [{ index: 0, program: "nobody" }] }];
    await expect(
      runtime.link({ ...compiled, manifest: { ...compiled.manifest, maps: unknown } }),
    ).rejects.toMatchObject({
      code: "MAP_OPERATION",
    });
  });

  it("ends a chain of tail calls after 33", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compileWith({}, SPIN));
    (object.maps.jumps as ProgArrayMap).setProgram(0, object.programs.spin!);
    expect(object.programs.spin!.testRun({ ctxIn: payload(0) }).retval).toBe(9);
    expect(u64(object.maps.out!.lookup(u32(0)))).toBe(34n);
  });

  it("keeps a program that another object's prog array holds", async () => {
    await using runtime = createRuntime();
    const caller = await runtime.link(await compileWith({}, JUMP));
    const callee = await runtime.link(await compileWith({}, TARGET("one", 11)));
    (caller.maps.jumps as ProgArrayMap).setProgram(0, callee.programs.one!);
    callee.close();
    const others = await runtime.link(await compileWith({}, TARGET("two", 22)));
    expect(caller.programs.jump!.testRun({ ctxIn: payload(0) }).retval).toBe(11);
    expect(others.programs.two!.testRun({ ctxIn: payload(0) }).retval).toBe(22);
  });

  it("refuses programs of another kind in a prog array, whoever brings them", async () => {
    await using runtime = createRuntime();
    const caller = await runtime.link(await compileWith({}, JUMP));
    const jumps = caller.maps.jumps as ProgArrayMap;
    const asXdp = async (text: string) => compileWith({}, text.replace(/; prog: .*/, "; prog: xdp name=other"));
    const other = await runtime.link(await asXdp(TARGET("other", 1)));
    expect(() => jumps.setProgram(0, other.programs.other!)).toThrow(expect.objectContaining({ errno: "EINVAL" }));
    await expect(
      runtime.link(await asXdp(JUMP.replace(/r\d = \*.*/, "r3 = 0")), { reuse: { jumps } }),
    ).rejects.toMatchObject({
      code: "MAP_OPERATION",
      errno: "EINVAL",
    });
    expect(caller.programs.jump!.testRun({ ctxIn: payload(0) }).retval).toBe(5);
  });

  it("calls helpers in TypeScript", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compileWith({}, PRINT));
    const args = Buffer.alloc(8);
    args.writeBigInt64LE(-7n);
    const { retval } = object.programs.print!.testRun({ ctxIn: args });
    const text = Buffer.from(object.maps.out!.lookup(u32(0)) as Uint8Array).toString("latin1");
    expect(text.slice(0, retval)).toBe("task is -7 / 0000000000001234\0");
  });

  it("runs on the virtual CPU that is asked for, at the time that is given", async () => {
    await using runtime = createRuntime({ cpus: 4 });
    const text = `
; prog: raw_tracepoint name=where
  call bpf_get_smp_processor_id
  r6 = r0
  call bpf_ktime_get_ns
  r0 += r6
  exit
`;
    const { where } = (await runtime.link(await compileWith({}, text))).programs;
    expect(where!.testRun({ cpu: 3, timeNs: 1000n }).r0).toBe(1003n);
    const live = where!.testRun().r0;
    expect(where!.testRun().r0).toBeGreaterThan(live);
    expect(() => where!.testRun({ cpu: 4 })).toThrow(expect.objectContaining({ errno: "ENXIO" }));
  });

  it("gives the same random numbers for the same seed", async () => {
    const text = "; prog: raw_tracepoint name=random\n  call bpf_get_prandom_u32\n  exit\n";
    const compiled = await compileWith({}, text);
    const draw = async (seed: number): Promise<number[]> => {
      await using runtime = createRuntime({ seed });
      const { random } = (await runtime.link(compiled)).programs;
      return [1, 2, 3].map(() => random!.testRun().retval);
    };
    expect(await draw(7)).toEqual(await draw(7));
    expect(await draw(7)).not.toEqual(await draw(8));
  });
});
