/** Every kind of hook gives its programs the ctx that the kernel would: registers, arguments, cookies, kernel objects. */
import { describe, expect, it } from "vitest";
import { UsageError } from "../../base/index.ts";
import { loadProbes } from "./probes.ts";

const NOTHING = { cookie: 0n, address: 0n, value: 0n, result: 0n, count: 0, pid: 0, parent: 0, uid: 0, text: "" };

describe("hooks", () => {
  it("of a kprobe fire with registers, by name or in the order of parameters", async () => {
    const { object, kernel, seen } = await loadProbes(["on_kprobe"]);
    using link = object.program("on_kprobe").attach({ cookie: 7n });
    expect([link.hook.kind, link.hook.name]).toEqual(["kprobe", "do_unlinkat"]);
    const file = kernel.filename!({ name: "/tmp/x" });
    link.hook.fire({ args: [-100, file], ip: 0xffff_ffff_8100_0000n });
    expect(seen()).toEqual([
      { ...NOTHING, cookie: 7n, address: 0xffff_ffff_8100_0000n, value: 0xffff_ffff_ffff_ff9cn, text: "/tmp/x" },
    ]);
    link.hook.fire([1, file]);
    link.hook.fire({ di: 2, si: file });
    expect(seen()).toMatchObject([
      { value: 1n, text: "/tmp/x" },
      { value: 2n, text: "/tmp/x" },
    ]);
    expect(link.runs).toBe(3);
  });

  it("of a kretprobe fire with the result", async () => {
    const { object, seen } = await loadProbes(["on_kretprobe"]);
    object.program("on_kretprobe").attach().hook.fire({ result: -2 });
    expect(seen()).toEqual([{ ...NOTHING, result: 0xffff_ffff_ffff_fffen }]);
  });

  it("of a uprobe read user memory that comes with the event, and fault without", async () => {
    const { object, seen } = await loadProbes(["on_uprobe"]);
    const { hook } = object.program("on_uprobe").attach();
    expect([hook.kind, hook.name]).toEqual(["uprobe", "/bin/bash:readline"]);
    hook.fire([0x55_0000n], { memory: [{ address: 0x55_0000n, bytes: "ls -la" }] });
    hook.fire([0x55_0003n], { memory: [{ address: 0x55_0000n, bytes: "ls -la" }] });
    hook.fire([0x55_0000n]);
    expect(seen()).toMatchObject([
      { result: 7n, text: "ls -la" },
      { result: 4n, text: "-la" },
      { result: BigInt.asUintN(64, -14n), text: "" },
    ]);
  });

  it("of a raw tracepoint run raw and typed programs alike, in order of attachment", async () => {
    const { object, kernel, seen } = await loadProbes(["on_raw", "on_typed"]);
    const [previous, next] = [
      kernel.task_struct!({ pid: 1, comm: "init" }),
      kernel.task_struct!({ pid: 42, comm: "sh", real_parent: { tgid: 7 }, cred: { uid: { val: 1000 } } }),
    ];
    const raw = object.program("on_raw").attach({ cookie: 1n });
    const typed = object.program("on_typed").attach({ cookie: 2n });
    expect(typed.hook).toBe(raw.hook);
    raw.hook.fire([true, previous, next, 9]);
    expect(seen()).toEqual([
      { ...NOTHING, cookie: 1n, value: 9n, pid: 1, text: "init" },
      { ...NOTHING, cookie: 2n, value: 1n, count: 42, pid: 42, parent: 7, uid: 1000, text: "sh" },
    ]);
  });

  it("of a raw tracepoint zero-extend integers from their own width, signed ones too", async () => {
    const { object, kernel, seen } = await loadProbes(["on_raw"]);
    const task = kernel.task_struct!({ pid: 1 });
    object.program("on_raw").attach().hook.fire([-1, task, task, -1]);
    expect(seen()).toMatchObject([{ value: 0xffff_ffffn, pid: 1 }]);
  });

  it("of functions know how many arguments there are, and the result behind them", async () => {
    const { object, seen } = await loadProbes(["on_fentry", "on_fexit"]);
    object.program("on_fentry").attach().hook.fire([5, 0]);
    object.program("on_fexit").attach().hook.fire([5, 0, -1]);
    expect(seen()).toEqual([
      { ...NOTHING, value: 5n, count: 2 },
      { ...NOTHING, value: BigInt.asUintN(64, -22n), result: 0xffff_ffff_ffff_ffffn, count: 2 },
    ]);
  });

  it("of perf events fire with registers, period and address", async () => {
    const { object, seen } = await loadProbes(["on_perf_event"]);
    const hook = object.runtime.hooks.get("perf_event", "cpu-clock");
    object.program("on_perf_event").attach({ hook, cookie: 3n });
    hook.fire({ ip: 0x1234, samplePeriod: 100n, addr: 0x5678 });
    expect(seen()).toEqual([{ ...NOTHING, cookie: 3n, address: 0x1234n, value: 100n, result: 0x5678n }]);
  });

  it("refuse what they are not fired with", async () => {
    const { object } = await loadProbes(["on_tracepoint", "on_fentry", "on_kprobe"]);
    const hookOf = (name: string) => object.program(name).attach().hook;
    const tracepoint = hookOf("on_tracepoint");
    expect(() => tracepoint.fire([1])).toThrow(UsageError);
    const probe = hookOf("on_kprobe");
    expect(() => probe.fire({ args: [1, 2, 3, 4, 5, 6, 7] })).toThrow("6 fit into registers");
    expect(() => probe.fire({ eax: 1 } as object)).toThrow("no register eax");
    expect(() => probe.fire([1.5])).toThrow("a whole number is needed");
    expect(() => hookOf("on_fentry").fire(new Uint8Array(7))).toThrow("are no arguments");
  });
});

describe("the current task", () => {
  it("is a task_struct of what is known of it, one a thread", async () => {
    const { object, seen } = await loadProbes(["on_tracepoint"]);
    const { hook } = object.program("on_tracepoint").attach();
    const payload = new Uint8Array(64);
    const [shell, child] = [
      { pid: 12, tgid: 10, ppid: 1, uid: 1000, comm: "sh" },
      { pid: 30, ppid: 10, comm: "ls" },
    ];
    hook.fire(payload, { task: shell });
    hook.fire(payload, { task: child });
    hook.fire(payload, { task: { ...shell, comm: "bash" } });
    const records = seen();
    expect(records).toMatchObject([
      { pid: 12, parent: 1, uid: 1000, text: "sh" },
      { pid: 30, parent: 10, uid: 0, text: "ls" },
      { pid: 12, parent: 1, uid: 1000, text: "bash" },
    ]);
    const [first, second, third] = records.map((record) => (record as { address: bigint }).address);
    expect(first).toBe(third);
    expect(first).not.toBe(second);
    expect(first! >> 32n).toBe(0xffff_c900n);
  });

  it("is the object that was given with the event", async () => {
    const { object, kernel, seen } = await loadProbes(["on_tracepoint"]);
    const { hook } = object.program("on_tracepoint").attach();
    const task = kernel.task_struct!({ pid: 5, comm: "given", real_parent: { tgid: 4 } });
    hook.fire(new Uint8Array(64), { task: { pid: 5, taskStruct: task.pointer } });
    task.set({ comm: "renamed" });
    hook.fire(new Uint8Array(64), { task: { pid: 5, taskStruct: task.pointer } });
    expect(seen()).toMatchObject([
      { address: task.pointer, pid: 5, parent: 4, text: "given" },
      { address: task.pointer, text: "renamed" },
    ]);
  });
});
