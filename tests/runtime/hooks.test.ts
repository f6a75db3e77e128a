/** Hooks and links: order, counters, what does not fit, detaching at any time. */
import { describe, expect, it } from "vitest";
import { createRuntime, type LinkedProgram, type Runtime } from "../../runtime/index.ts";
import { CPU, CPU_STACK_RESERVE_BYTES } from "../../spec/index.ts";
import { compile } from "./compile.ts";
import { handMadeObject, OP } from "./module.ts";

const OUT = "; map: out array key=4 value=8 max=1";
/** out = out * 10 + digit */
const APPEND = (name: string, digit: number, prog = "tracepoint"): string => `
; prog: ${prog} name=${name} target=test/event section=tp/test/event
${OUT}
  r7 = map[out][0] ll
  r1 = *(u64 *)(r7 + 0)
  r1 *= 10
  r1 += ${digit}
  *(u64 *)(r7 + 0) = r1
  r0 = 1
  exit
`;
const RETURN_0 = [OP.i64Const, 0];

interface Digits {
  readonly programs: readonly LinkedProgram[];
  written(): number;
}

/** Programs that append their digit to one number. */
async function digits(runtime: Runtime, ...values: number[]): Promise<Digits> {
  const object = await runtime.link(await compile(...values.map((digit) => APPEND(`p${digit}`, digit))));
  return {
    programs: values.map((digit) => object.programs[`p${digit}`]!),
    written: () => Number(Buffer.from(object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array).readBigUInt64LE(0)),
  };
}

describe("a hook", () => {
  it("runs its programs in order of attachment", async () => {
    await using runtime = createRuntime();
    const { programs, written } = await digits(runtime, 1, 2, 3);
    const hook = runtime.hooks.get("tracepoint", "test/event");
    const [three, one] = [hook.attach(programs[2]!), hook.attach(programs[0]!, { cookie: -1n })];
    hook.attach(programs[1]!);
    hook.attach(programs[0]!);
    expect(one.cookie).toBe(0xffff_ffff_ffff_ffffn);
    hook.fire(new Uint8Array(8));
    expect(written()).toBe(3121);
    three.detach();
    hook.fire(new Uint8Array(8));
    expect(written()).toBe(3_121_121);
    expect([three.runs, one.runs, three.detached, one.detached]).toEqual([1, 2, true, false]);
    expect(hook.links).toHaveLength(3);
  });

  it("runs nothing when everything is detached, also twice", async () => {
    await using runtime = createRuntime();
    const { programs, written } = await digits(runtime, 1);
    const link = programs[0]!.attach();
    link.detach();
    link.detach();
    runtime.hooks.get("tracepoint", "test/event").fire(new Uint8Array(8));
    expect(written()).toBe(0);
    expect(programs[0]!.links).toEqual([]);
  });

  it("keeps the counters of links that stay", async () => {
    await using runtime = createRuntime();
    const { programs } = await digits(runtime, 1, 2);
    const hook = runtime.hooks.get("tracepoint", "test/event");
    const first = hook.attach(programs[0]!);
    for (let i = 0; i < 3; i++) hook.fire(new Uint8Array(8));
    const second = hook.attach(programs[1]!);
    hook.fire(new Uint8Array(8));
    expect([first.runs, second.runs, first.misses]).toEqual([4, 1, 0]);
  });

  it("has one program on several hooks, counted apart", async () => {
    await using runtime = createRuntime();
    const { programs, written } = await digits(runtime, 4);
    const [here, there] = ["a/b", "a/c"].map((name) => runtime.hooks.get("tracepoint", name));
    const links = [here!.attach(programs[0]!), there!.attach(programs[0]!)];
    here!.fire(new Uint8Array(8));
    there!.fire(new Uint8Array(8));
    there!.fire(new Uint8Array(8));
    expect(links.map((link) => link.runs)).toEqual([1, 2]);
    expect(written()).toBe(444);
    expect(programs[0]!.links).toEqual(links);
  });

  it("loses its links when the object is closed", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(await compile(APPEND("p", 1)));
    const link = object.programs.p!.attach();
    const hook = runtime.hooks.get("tracepoint", "test/event");
    hook.fire(new Uint8Array(8));
    object.close();
    expect([link.detached, link.runs, hook.links.length]).toEqual([true, 1, 0]);
    hook.fire(new Uint8Array(8));
    expect(() => object.programs.p!.attach()).toThrow(expect.objectContaining({ code: "CLOSED" }));
    expect(() => hook.attach(object.programs.p!)).toThrow(expect.objectContaining({ code: "ATTACH_FAILED" }));
  });

  it("refuses programs of another type, and leaves nothing behind", async () => {
    await using runtime = createRuntime();
    const { programs } = await digits(runtime, 1);
    const hook = runtime.hooks.get("raw_tracepoint", "sched_switch");
    const before = runtime.world.arena.usedBytes;
    expect(() => hook.attach(programs[0]!)).toThrow(expect.objectContaining({ code: "ATTACH_TYPE", errno: "EINVAL" }));
    expect(runtime.world.arena.usedBytes).toBe(before);
    expect(hook.links).toEqual([]);
  });

  it("refuses programs that read more of the ctx than there is", async () => {
    await using runtime = createRuntime();
    const compiled = handMadeObject("reader", { body: RETURN_0 }, { program: { ctxBytes: 24 } });
    const { reader } = (await runtime.link(compiled)).programs;
    const hook = runtime.hooks.get("tracepoint", "test/reader");
    hook.ctxBytes = 16;
    expect(() => reader!.attach()).toThrow(expect.objectContaining({ code: "ATTACH_TYPE", errno: "EACCES" }));
    hook.ctxBytes = 24;
    reader!.attach();
    hook.fire(new Uint8Array(24));
    expect(() => hook.fire(new Uint8Array(23))).toThrow(expect.objectContaining({ code: "USAGE", errno: "EINVAL" }));
  });

  it("is named by the section, or must be given", async () => {
    await using runtime = createRuntime();
    const compiled = handMadeObject("nowhere", { body: RETURN_0 }, { program: { attachTarget: null, section: "tp" } });
    const { nowhere } = (await runtime.link(compiled)).programs;
    expect(() => nowhere!.attach()).toThrow(expect.objectContaining({ code: "ATTACH_TARGET" }));
    nowhere!.attach({ hook: runtime.hooks.get("tracepoint", "a/b") });
    const packets = handMadeObject("packets", { body: RETURN_0 }, { program: { type: "xdp", attachTarget: null } });
    expect(() => runtime.hooks.get("xdp", "eth0").fire(new Uint8Array(3))).toThrow(
      expect.objectContaining({ errno: "EINVAL" }),
    );
    const { packets: xdp } = (await runtime.link(packets)).programs;
    expect(() => xdp!.attach()).toThrow(expect.objectContaining({ code: "ATTACH_TYPE" }));
    const link = xdp!.attach({ hook: runtime.hooks.get("xdp", "eth0") });
    runtime.hooks.get("xdp", "eth0").fire(new Uint8Array(60));
    expect(link.runs).toBe(1);
  });

  it("counts a miss where the CPU's stack has no room", async () => {
    await using runtime = createRuntime();
    const { programs, written } = await digits(runtime, 1);
    const link = programs[0]!.attach();
    const hook = runtime.hooks.get("tracepoint", "test/event");
    const { view, arena } = runtime.world;
    const cpu = arena.cpu(0);
    const top = view.getUint32(cpu + CPU.sp, true);
    view.setUint32(cpu + CPU.sp, view.getUint32(cpu + CPU.stackFloor, true) + CPU_STACK_RESERVE_BYTES - 8, true);
    hook.fire(new Uint8Array(8));
    expect(() => programs[0]!.testRun()).toThrow(expect.objectContaining({ errno: "EBUSY" }));
    view.setUint32(cpu + CPU.sp, top, true);
    hook.fire(new Uint8Array(8));
    expect([link.misses, link.runs, written()]).toEqual([1, 1, 1]);
  });

  it("gives back what firing takes", async () => {
    await using runtime = createRuntime();
    const { programs } = await digits(runtime, 1);
    programs[0]!.attach();
    const hook = runtime.hooks.get("tracepoint", "test/event");
    hook.fire(new Uint8Array(8), { task: { pid: 5 } });
    const before = runtime.world.arena.usedBytes;
    for (let i = 0; i < 100; i++) hook.fire(new Uint8Array(8), { task: { pid: i }, timeNs: 5n });
    expect(runtime.world.arena.usedBytes).toBe(before);
    expect(() => hook.fire(new Uint8Array(8), { cpu: 1 })).toThrow(expect.objectContaining({ code: "USAGE" }));
    expect(runtime.world.arena.usedBytes).toBe(before);
  });
});
