/** Runs that break off: traps, faults of unchecked programs, errors from callbacks. The runtime goes on. */
import { describe, expect, it } from "vitest";
import { createRuntime } from "../../runtime/index.ts";
import { CPU, CPU_STACK_BYTES, WORKER } from "../../spec/index.ts";
import { compile, compileUnchecked } from "./compile.ts";
import { handMadeObject, OP } from "./module.ts";

const TRAP = handMadeObject("boom", { body: [OP.unreachable] });
const ENDLESS = handMadeObject("deep", { body: [OP.i32Const, 0, OP.call, 0] });
const STORE = `
; prog: tracepoint name=store target=test/boom section=tp/test/boom
; map: out array key=4 value=8 max=1
  r7 = map[out][0] ll
  r1 = *(u64 *)(r7 + 0)
  r1 += 1
  *(u64 *)(r7 + 0) = r1
  r0 = 3
  exit
`;

const trapped = { name: "BugError", code: "PROGRAM_TRAPPED" };

describe("a program that breaks off", () => {
  it("traps: a bug of ours, named after the program; the runtime stays usable", async () => {
    await using runtime = createRuntime();
    const { boom } = (await runtime.link(TRAP)).programs;
    const store = (await runtime.link(await compile(STORE))).programs.store!;
    expect(() => boom!.testRun()).toThrow(expect.objectContaining({ ...trapped, where: { program: "boom" } }));
    expect(store.testRun().retval).toBe(3);
  });

  it("overflows the host's stack: a bug of ours too", async () => {
    await using runtime = createRuntime();
    const { deep } = (await runtime.link(ENDLESS)).programs;
    expect(() => deep!.testRun()).toThrow(expect.objectContaining({ ...trapped, where: { program: "deep" } }));
  });

  it("traps on a hook: the program is named, and the CPU is free again", async () => {
    await using runtime = createRuntime({ cpus: 2 });
    const hook = runtime.hooks.get("tracepoint", "test/boom");
    const object = await runtime.link(await compile(STORE));
    const before = object.programs.store!.attach();
    const link = (await runtime.link(TRAP)).programs.boom!.attach();
    expect(() => hook.fire(new Uint8Array(8), { cpu: 1 })).toThrow(
      expect.objectContaining({ ...trapped, where: { program: "boom" } }),
    );
    const { view, arena, worker } = runtime.world;
    const cpu = arena.cpu(1);
    expect(view.getUint32(worker + WORKER.cpu, true)).toBe(0);
    expect(view.getUint32(cpu + CPU.sp, true)).toBe(view.getUint32(cpu + CPU.stackFloor, true) + CPU_STACK_BYTES);
    for (const word of [CPU.event, CPU.link, CPU.nesting]) expect(view.getUint32(cpu + word, true)).toBe(0);
    link.detach();
    hook.fire(new Uint8Array(8), { cpu: 1 });
    expect(before.runs).toBe(2);
  });

  it("touches foreign memory: a fault with the instruction", async () => {
    await using runtime = createRuntime();
    const wild = "; prog: raw name=wild\n  r1 = 0x7fff0000 ll\n  r0 = *(u64 *)(r1 + 0)\n  exit\n";
    const object = await runtime.link(await compileUnchecked(wild));
    expect(() => object.programs.wild!.testRun()).toThrow(
      expect.objectContaining({ name: "FaultError", code: "MEMORY_FAULT", where: { insnIndex: 2, program: "wild" } }),
    );
  });

  it("does not end: a fault when its budget is spent", async () => {
    await using runtime = createRuntime();
    const object = await runtime.link(
      await compileUnchecked("; prog: raw name=loop\nagain:\n  r0 = 1\n  goto again\n  exit\n"),
    );
    expect(() => object.programs.loop!.testRun()).toThrow(
      expect.objectContaining({ name: "FaultError", code: "BUDGET_EXHAUSTED" }),
    );
    expect(() => object.programs.loop!.testRun()).toThrow(expect.objectContaining({ code: "BUDGET_EXHAUSTED" }));
  });

  it("meets an error that an embedder's callback throws: it comes through as it is", async () => {
    await using runtime = createRuntime();
    const compiled = handMadeObject("fault", { body: [OP.call, 0, OP.i64Const, 0], imports: [["host", "now"]] });
    const object = await runtime.link(compiled);
    const mine = new Error("mine");
    runtime.world.setResult = () => {
      throw mine;
    };
    expect(() => object.programs.fault!.testRun()).toThrow(mine);
  });
});
