/** Runs inside runs: the callback of bpf_trace_printk fires hooks, attaches, detaches, closes. */
import { describe, expect, it } from "vitest";
import { createRuntime, type LinkedObject } from "../../runtime/index.ts";
import { compile } from "./compile.ts";

/** Prints who runs, then notes pid, CPU and time of its own event in `out`, at `at`. */
const SPEAK = (name: string, at: number): string => `
; prog: tracepoint name=${name} target=test/${name} section=tp/test/${name}
; map: out array key=4 value=64 max=1
  r1 = ${name.charCodeAt(0)}
  *(u64 *)(r10 - 8) = r1
  r1 = r10
  r1 += -8
  r2 = 8
  r3 = 0
  call bpf_trace_printk
  r7 = map[out][0] ll
  call bpf_get_current_pid_tgid
  w0 = w0
  *(u64 *)(r7 + ${at}) = r0
  call bpf_get_smp_processor_id
  *(u64 *)(r7 + ${at + 8}) = r0
  call bpf_ktime_get_ns
  *(u64 *)(r7 + ${at + 16}) = r0
  r0 = 0
  exit
`;

const EMPTY = new Uint8Array(8);
function noted(object: LinkedObject): bigint[] {
  const bytes = object.maps.out!.lookup(new Uint8Array(4)) as Uint8Array;
  return [...new BigUint64Array(Uint8Array.from(bytes).buffer)];
}

describe("a run inside a run", () => {
  it("has its own task, CPU and time, and gives the outer ones back", async () => {
    const lines: string[] = [];
    await using runtime = createRuntime({
      cpus: 3,
      trace: (line) => {
        lines.push(line);
        if (line === "o") inner.fire(EMPTY, { cpu: 2, timeNs: 20n, task: { pid: 22 } });
      },
    });
    const object = await runtime.link(await compile(SPEAK("o", 0), SPEAK("i", 32)));
    const inner = runtime.hooks.get("tracepoint", "test/i");
    object.programs.o!.attach();
    object.programs.i!.attach();
    runtime.hooks.get("tracepoint", "test/o").fire(EMPTY, { cpu: 1, timeNs: 10n, task: { pid: 11 } });
    expect(lines).toEqual(["o", "i"]);
    expect(noted(object)).toEqual([11n, 1n, 10n, 0n, 22n, 2n, 20n, 0n]);
  });

  it("may share the CPU: the stack of the outer one stays untouched", async () => {
    await using runtime = createRuntime({ trace: (line) => line === "o" && hook.fire(EMPTY, { task: { pid: 22 } }) });
    const object = await runtime.link(await compile(SPEAK("o", 0), SPEAK("i", 32)));
    const hook = runtime.hooks.get("tracepoint", "test/i");
    object.programs.i!.attach();
    object.programs.o!.testRun({ task: { pid: 11 }, timeNs: 5n, ctxIn: EMPTY });
    expect(noted(object).slice(0, 5)).toEqual([11n, 0n, 5n, 0n, 22n]);
  });

  it("does not start where too many are under way: it counts as a miss", async () => {
    await using runtime = createRuntime({ trace: () => runtime.hooks.get("tracepoint", "test/o").fire(EMPTY) });
    const object = await runtime.link(await compile(SPEAK("o", 0)));
    const link = object.programs.o!.attach();
    runtime.hooks.get("tracepoint", "test/o").fire(EMPTY);
    expect([link.runs, link.misses]).toEqual([16, 1]);
    runtime.hooks.get("tracepoint", "test/o").fire(EMPTY);
    expect([link.runs, link.misses]).toEqual([32, 2]);
  });

  it("refuses a test run where too many are under way", async () => {
    let error: unknown;
    let depth = 0;
    await using runtime = createRuntime({
      trace: () => {
        if (error !== undefined) return;
        depth++;
        try {
          object.programs.o!.testRun({ ctxIn: EMPTY });
        } catch (thrown) {
          error ??= thrown;
        }
      },
    });
    const object = await runtime.link(await compile(SPEAK("o", 0)));
    object.programs.o!.testRun({ ctxIn: EMPTY });
    expect(error).toMatchObject({ code: "USAGE", errno: "EBUSY" });
    expect(depth).toBe(16);
  });

  it("may detach what runs, and attach more: both hold from the next event on", async () => {
    let change: (() => void) | null = null;
    await using runtime = createRuntime({ trace: () => change?.() });
    const object = await runtime.link(await compile(SPEAK("o", 0), SPEAK("i", 32)));
    const hook = runtime.hooks.get("tracepoint", "test/any");
    const { o, i } = object.programs;
    const first = hook.attach(o!);
    const second = hook.attach(i!);
    const added: { runs: number }[] = [];
    change = () => {
      change = null;
      first.detach();
      added.push(hook.attach(o!), hook.attach(i!));
    };
    hook.fire(EMPTY);
    expect([first.detached, first.runs, added.map((link) => link.runs)]).toEqual([true, 1, [0, 0]]);
    hook.fire(EMPTY);
    expect([first.runs, added.map((link) => link.runs)]).toEqual([1, [1, 1]]);
    expect(second.runs).toBeGreaterThan(0);
  });

  it("may close the object that runs", async () => {
    await using runtime = createRuntime({ trace: () => object.close() });
    const object = await runtime.link(await compile(SPEAK("o", 0)));
    const link = object.programs.o!.attach();
    const hook = runtime.hooks.get("tracepoint", "test/o");
    hook.fire(EMPTY);
    hook.fire(EMPTY);
    expect([link.runs, object.closed, object.maps.out!.closed]).toEqual([1, true, true]);
  });

  it("breaks off alone: the outer one goes on", async () => {
    const errors: unknown[] = [];
    await using runtime = createRuntime({
      cpus: 2,
      trace: (line) => {
        if (line === "i") throw new Error("from the callback");
        try {
          runtime.hooks.get("tracepoint", "test/i").fire(EMPTY, { cpu: 1, task: { pid: 9 } });
        } catch (error) {
          errors.push(error);
        }
      },
    });
    const object = await runtime.link(await compile(SPEAK("o", 0), SPEAK("i", 32)));
    object.programs.i!.attach();
    object.programs.o!.attach();
    runtime.hooks.get("tracepoint", "test/o").fire(EMPTY, { timeNs: 1n, task: { pid: 7 } });
    expect(errors).toMatchObject([{ message: "from the callback" }]);
    expect(noted(object)).toEqual([7n, 0n, 1n, 0n, 0n, 0n, 0n, 0n]);
  });
});
