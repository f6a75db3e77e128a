/** Probes for another machine: registers of arm64 by name, as functions find their arguments there, and USDT operands. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type KernelTarget, kernelObjects, load, openObject, readKernel } from "../../api/index.ts";
import { UsageError } from "../../base/index.ts";
import { parseUsdtOperands, usdtSpec } from "../../runtime/usdt.ts";
import { FakeSource } from "../runtime/fake-source.ts";
import { PROBES } from "./probes.ts";

const path = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const ARM64: KernelTarget = readKernel(path("kernel-arm64.bpf.o"));
const OBJECT = path("probes-arm64.bpf.o");

async function loadProbes(options: Parameters<typeof load>[1] = ARM64) {
  const object = await load(OBJECT, options);
  const seen: unknown[] = [];
  const reading = object.openRecords(({ fields }) => seen.push(fields), { types: { records: "seen" } });
  return {
    object,
    kernel: kernelObjects(object.runtime, ARM64),
    seen: () => {
      reading.drain();
      return seen.splice(0);
    },
  };
}

describe("probes of arm64", () => {
  it.each([
    ["whose target's BTF says so", ARM64],
    ["that are said to be so", { architecture: "arm64", programs: ["on_kprobe"] } as const],
  ])("%s get registers by name, and parameters in order", async (_, options) => {
    const { object, seen } = await loadProbes(options);
    const { hook } = object.program("on_kprobe").attach();
    hook.fire({ args: [1, 2, 3, 4, 5, 6, 7, 8], pc: 0xffff_8000_8123_0000n, sp: 0x1000 });
    hook.fire({ x1: -1, result: 9 });
    expect(seen()).toMatchObject([
      { args: [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n], result: 1n, address: 0xffff_8000_8123_0000n, sp: 0x1000n },
      { args: [9n, 2n ** 64n - 1n, 0n, 0n, 0n, 0n, 0n, 0n], result: 9n, address: 0n },
    ]);
    expect(() => hook.fire({ di: 1 })).toThrow("no register di");
    expect(() => hook.fire({ args: Array(9).fill(0) })).toThrow("8 fit into registers");
  });

  it("are the same from bytes, with the address that was hit", async () => {
    const { object, seen } = await loadProbes();
    const { hook } = object.program("on_kprobe").attach();
    const words = BigUint64Array.from({ length: 34 }, (_, index) => BigInt(100 + index));
    hook.fireBatch(new Uint8Array(words.buffer), 1);
    hook.fire(new Uint8Array(words.buffer));
    const [first, second] = seen();
    expect(first).toEqual(second);
    expect(first).toMatchObject({ result: 100n, sp: 131n, address: 132n });
  });

  it("of system calls are at that machine's functions", async () => {
    const { object } = await loadProbes();
    expect(object.program("on_system_call").attach().hook.name).toBe("__arm64_sys_unlinkat");
  });

  it("and perf events, whose period and address lie behind the registers that a sample has", async () => {
    const { object, seen } = await loadProbes();
    const hook = object.runtime.hooks.get("perf_event", "cpu-clock");
    object.program("on_perf_event").attach({ hook });
    hook.fire({ pc: 0x1234, samplePeriod: 100n, addr: 0x5678 });
    expect(seen()).toMatchObject([{ address: 0x1234n, sp: 100n, result: 0x5678n }]);
  });

  it("read struct pt_regs as far as the target's goes", async () => {
    const object = await (await openObject(OBJECT, ARM64)).select(["reads_last"]).load();
    expect(object.program("reads_last").testRun({ ctxIn: new Uint8Array(336).fill(1) }).retval).toBe(0x0101_0101);
    const rejected = (await openObject(OBJECT, ARM64)).select(["reads_behind"]).load();
    await expect(rejected).rejects.toThrow("invalid bpf_context access off=320 size=8");
    const other = (await openObject(OBJECT)).select(["reads_last"]).load();
    await expect(other).rejects.toThrow("invalid bpf_context access off=312 size=8");
  });

  it("see the registers of a system call's entry as an object of that machine", async () => {
    const { object, kernel, seen } = await loadProbes();
    const regs = kernel.pt_regs!({ regs: [1, 0x7000n], syscallno: 35 });
    object.program("on_sys_enter").attach().hook.fire([regs, 35]);
    expect(seen()).toMatchObject([{ args: [0n, 0x7000n, 0n, 0n, 0n, 0n, 0n, 0n], result: 35n, address: 35n }]);
  });

  it("are not run by a source whose probes are another machine's", async () => {
    const { object } = await loadProbes({ ...ARM64, programs: ["on_kprobe"] });
    const source = Object.assign(new FakeSource([]), { architecture: "x86_64" as const });
    await expect(object.run(source)).rejects.toThrow(
      "prepared for arm64, kprobe do_unlinkat in fake has registers of x86_64",
    );
    const own = Object.assign(new FakeSource([], { events: null }), { architecture: "arm64" as const });
    expect((await object.run(own)).events).toBe(0);
  });

  it("are not on one hook with those of x86-64", async () => {
    const { object } = await loadProbes();
    const other = await load(PROBES, { programs: ["on_kretprobe"], runtime: object.runtime });
    const hook = object.runtime.hooks.get("kprobe", "do_unlinkat");
    object.program("on_kprobe").attach({ hook });
    expect(() => other.program("on_kretprobe").attach({ hook })).toThrow("another machine");
  });
});

describe("operands of USDT probes on arm64", () => {
  it("are constants, registers and memory", () => {
    const memory = (base: string, offset: bigint) => ({ kind: "memory", base, offset, index: null });
    const cases: Record<string, object> = {
      "8@x0": { bytes: 8, signed: false, from: { kind: "register", register: "x0" } },
      "-4@w19": { bytes: 4, signed: true, from: { kind: "register", register: "x19" } },
      "8@sp": { bytes: 8, signed: false, from: { kind: "register", register: "sp" } },
      "-4@5": { bytes: 4, signed: true, from: { kind: "constant", value: 5n } },
      "2@-9": { bytes: 2, signed: false, from: { kind: "constant", value: -9n } },
      "-4@[sp, 60]": { bytes: 4, signed: true, from: memory("sp", 60n) },
      "1@[x29,-8]": { bytes: 1, signed: false, from: memory("x29", -8n) },
      "8@[x0]": { bytes: 8, signed: false, from: memory("x0", 0n) },
    };
    for (const [text, operand] of Object.entries(cases)) {
      expect(parseUsdtOperands(text, "arm64"), text).toEqual([operand]);
    }
    const all = parseUsdtOperands(Object.keys(cases).join(" "), "arm64");
    expect(all).toEqual(Object.values(cases));
    expect(usdtSpec(all, 3n, "arm64")).toMatchObject({
      args: [
        { arg_type: 1, reg_off: 0 },
        { reg_off: 152 },
        { reg_off: 248 },
        {},
        {},
        { arg_type: 2, reg_off: 248, val_off: 60n },
        {},
        {},
      ],
      usdt_cookie: 3n,
      arg_cnt: 8,
    });
  });

  it("are refused where they are none", () => {
    for (const wrong of ["8@%rax", "8@x31", "8@pc", "8@[x0", "8@[x0, x1]", "3@x0", "8@$5", "8@"]) {
      expect(() => parseUsdtOperands(wrong, "arm64"), wrong).toThrow(UsageError);
    }
  });
});
