/** `strict`: reads of kernel objects that find nothing are told, by program and place; what was given is not. */
import { describe, expect, it } from "vitest";
import { createRuntime, kernelObjects, load, type StrayRead } from "../../api/index.ts";
import { PROBES, TARGET } from "./probes.ts";

async function strict(programs: readonly string[]) {
  const object = await load(PROBES, { ...TARGET, programs, runtimeOptions: { strict: true } });
  const kernel = kernelObjects(object.runtime, TARGET);
  const told = (): string[] => {
    const strays = object.runtime.strayReads.map(textOf);
    object.runtime.clearStrayReads();
    return strays;
  };
  const hookOf = (name: string) => object.program(name).attach().hook;
  return { object, kernel, told, hookOf };
}
const textOf = ({ kind, program, struct, member, offsetBytes, bytes, count }: StrayRead): string =>
  `${program}: ${kind} ${struct}.${member ?? offsetBytes} ${bytes} ×${count}`;

describe("strict", () => {
  it("tells of members that nobody set and of what lies behind them, once a place", async () => {
    const { kernel, told, hookOf } = await strict(["on_raw"]);
    const hook = hookOf("on_raw");
    const task = kernel.task_struct!({ pid: 3 });
    hook.fire([0, task, task, 0]);
    hook.fire([0, task, task, 0]);
    const [tgid, uid] = [4, 4].map((bytes) =>
      expect.stringMatching(new RegExp(`^on_raw: null null\\.\\d+ ${bytes} ×2$`)),
    );
    expect(told()).toEqual([
      "on_raw: unset task_struct.comm 16 ×2",
      "on_raw: unset task_struct.real_parent 8 ×2",
      tgid,
      "on_raw: unset task_struct.cred 8 ×2",
      uid,
    ]);
    task.set({ comm: "", real_parent: { tgid: 0 }, cred: { uid: { val: 0 } } });
    hook.fire([0, task, task, 0]);
    expect(told()).toEqual([]);
    task.set({ cred: { gid: { val: 0 } } });
    hook.fire([0, task, task, 0]);
    expect(told()).toEqual(["on_raw: unset cred.uid.val 4 ×1"]);
  });

  it("tells of direct loads of typed programs, too", async () => {
    const { kernel, told, hookOf } = await strict(["on_typed"]);
    const hook = hookOf("on_typed");
    const whole = { comm: "sh", real_parent: { tgid: 1 }, cred: { uid: { val: 0 } } };
    hook.fire([0, kernel.task_struct!(), kernel.task_struct!({ ...whole, pid: 1 }), 0]);
    expect(told()).toEqual([]);
    hook.fire([0, 0, kernel.task_struct!(whole), 0]);
    // the load, and the probe read of the same member
    expect(told()).toEqual(["on_typed: unset task_struct.pid 4 ×2"]);
    hook.fire([0, 0, 0, 0]);
    expect(told()).toContainEqual(expect.stringMatching(/^on_typed: null null\.\d+ 4 ×2$/));
  });

  it("tells of reads outside of an object, and at addresses that nobody knows", async () => {
    const { kernel, told, hookOf } = await strict(["on_kprobe"]);
    const hook = hookOf("on_kprobe");
    const file = kernel.filename!({ name: "/tmp/x" });
    hook.fire([0, file]);
    expect(told()).toEqual([]);
    hook.fire([0, file.pointer + 12n]);
    hook.fire([0, file.pointer - 8n]);
    hook.fire([0, 0xffff_8880_1234_0000n]);
    const lost = told();
    expect(lost.filter((line) => !line.includes(": null "))).toEqual([
      "on_kprobe: outside filename.12 8 ×1",
      "on_kprobe: outside filename.-8 8 ×1",
      `on_kprobe: unknown null.${0xffff_8880_1234_0000n} 8 ×1`,
    ]);
    file.set({ name: null });
    hook.fire([0, file]);
    expect(told()).toEqual(["on_kprobe: null null.0 1 ×1"]);
  });

  it("knows what a source told of a task, and what it did not", async () => {
    const { told, hookOf } = await strict(["on_tracepoint"]);
    const hook = hookOf("on_tracepoint");
    hook.fire(new Uint8Array(64), { task: { pid: 5, tgid: 5, ppid: 1, comm: "sh", uid: 0 } });
    expect(told()).toEqual([]);
    hook.fire(new Uint8Array(64), { task: { pid: 6, tgid: 6, comm: "sh" } });
    expect(told()).toEqual(["on_tracepoint: unset task_struct.real_parent 8 ×1", expect.stringContaining("null null")]);
  });

  it("costs nothing and tells nothing where it is not asked for, and is not for workers", async () => {
    await using object = await load(PROBES, { ...TARGET, programs: ["on_raw"] });
    object.program("on_raw").attach().hook.fire([0, 0, 0, 0]);
    expect(object.runtime.strayReads).toEqual([]);
    expect(() => createRuntime({ strict: true, workers: 1 })).toThrow("strict is for runtimes without workers");
  });
});
