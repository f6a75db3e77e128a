/** Which object loads on which kernel. Kernels are small BTFs of ours; what the tables say is checked against itself. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compatObject, type KernelTarget, type ProgramCompat } from "../../api/index.ts";
import { findKernelVersion, kernelVersionCode, readBtf } from "../../compiler/index.ts";
import { ATTACH_TYPES, attachTypeSince, HELPERS, helperSince } from "../../spec/index.ts";
import { bpfjit, jsonLines } from "../command/command.ts";
import { fixtureBytes } from "../object/libbpf.ts";
import { btfOf } from "./declarations.ts";
import { type CoreCase, writeObject } from "./object.ts";
import { type ProgramPlan, writePrograms } from "./programs.ts";

const kernelOf = (version: string | null, types: string): KernelTarget => ({
  kernel: version ?? "unknown",
  targetBtf: readBtf(btfOf(types)),
  modules: [],
  ...(version !== null && { kernelVersion: findKernelVersion(version)! }),
});

const OLD = kernelOf("5.4", "struct task { int state; }; int vfs_read(int);");
const NEW = kernelOf("6.12", "struct task { long pad; int __state; }; int vfs_read(int); int kfunc(int);");

const TASK = "struct task { int state; }; struct task___new { int __state; };";
const field = (test: Partial<CoreCase>): CoreCase => ({
  types: TASK,
  kind: "fieldOffset",
  type: "task",
  access: "0:0",
  form: "ldx4",
  held: 0n,
  ...test,
});
const compat = (test: CoreCase, kernel: KernelTarget): ProgramCompat =>
  compatObject(writeObject(test), kernel).programs[0]!;

const plan = (code: ProgramPlan["code"] = [], section = "socket"): ProgramPlan[] => [
  { name: "program", section, code },
];
const problems = (programs: ProgramPlan[], kernel: KernelTarget, externs = "int nothing;") =>
  compatObject(writePrograms(programs, externs), kernel).programs.flatMap((program) =>
    program.problems.map(({ kind, name, since }) => [kind, name, since]),
  );
const helper = (id: number) => [[0x85, 0, 0, id]] as const;

describe("a field that a kernel lacks", () => {
  it("fails there and nowhere else, and is named", () => {
    expect(compat(field({}), OLD)).toMatchObject({ loads: true, problems: [], guarded: [] });
    expect(compat(field({}), NEW)).toMatchObject({
      loads: false,
      problems: [{ kind: "relocation", name: "struct task.state", insnIndex: 0, since: null }],
    });
    expect(compat(field({ type: "task___new" }), OLD)).toMatchObject({ loads: false });
    expect(compat(field({ type: "task___new" }), NEW)).toMatchObject({ loads: true });
  });

  it("does not count behind a guard, as clang makes it", () => {
    const target = readBtf(fixtureBytes("core-target"));
    const object = compatObject(fixtureBytes("core"), { kernel: "target", targetBtf: target, modules: [] });
    const guarded = object.programs.find(({ program }) => program === "guarded");
    expect(guarded?.problems.map(({ kind, name }) => [kind, name])).toEqual([["relocation", "struct missing.x"]]);
    expect(guarded?.guarded).toEqual(["struct task.gone", "enum state.UNKNOWN"]);
  });

  it("may be asked for", () => {
    const exists = field({ kind: "fieldExists", type: "task___new", form: "mov", held: 1n });
    expect(compat(exists, OLD)).toMatchObject({ loads: true });
    expect(compat(exists, NEW)).toMatchObject({ loads: true });
  });
});

describe("what is too new", () => {
  it("is told by the version", () => {
    expect(problems(plan(helper(130)), OLD)).toEqual([["helper", "bpf_ringbuf_output", "5.8"]]);
    expect(problems(plan(helper(130)), NEW)).toEqual([]);
    expect(problems(plan(helper(5)), OLD)).toEqual([]);
    expect(problems(plan([], "netfilter"), OLD)).toEqual([["programType", "netfilter", "6.4"]]);
    expect(problems(plan([], "tcx/ingress"), OLD)).toEqual([["attachType", "tcx_ingress", "6.6"]]);
    expect(problems(plan([], "tcx/ingress"), NEW)).toEqual([]);
    // libbpf leaves this one out where the kernel does not know it.
    expect(problems(plan([], "sk_skb/verdict"), OLD)).toEqual([]);
    expect(problems(plan([], "usdt"), OLD)).toEqual([]);
    // a fetching atomic, a sign-extending load
    expect(problems(plan([[0xdb, 0x1a, -8, 1]]), OLD)).toEqual([
      ["instruction", "an atomic operation other than addition", "5.12"],
    ]);
    expect(problems(plan([[0x81, 0x1a, -8, 0]]), OLD)).toEqual([["instruction", "a sign-extending load", "6.6"]]);
    expect(problems(plan([[0x81, 0x1a, -8, 0]]), NEW)).toEqual([]);
  });

  it("is told by the BTF where that knows", () => {
    const backported = kernelOf(
      "4.18",
      "enum bpf_func_id { BPF_FUNC_unspec, BPF_FUNC_ringbuf_output = 130, __BPF_FUNC_MAX_ID };",
    );
    expect(problems(plan(helper(130)), backported)).toEqual([]);
    expect(problems(plan(helper(131)), backported)).toEqual([["helper", "bpf_ringbuf_reserve", "5.8"]]);
  });

  it("is not told of a kernel without version", () => {
    expect(problems(plan(helper(130)), kernelOf(null, "int nothing;"))).toEqual([]);
  });

  it("does not count where no path comes by", () => {
    // r1 = 0; if r1 == 0 goto +1; call ringbuf_output; r0 = 0; exit
    expect(problems(plan([[0xb7, 1, 0, 0], [0x15, 1, 1, 0], ...helper(130)]), OLD)).toEqual([]);
    // … with r1 = 1 it does.
    expect(problems(plan([[0xb7, 1, 0, 1], [0x15, 1, 1, 0], ...helper(130)]), OLD)).toHaveLength(1);
    // through the stack, across a call that is given another part of it
    const spilled = [
      [0xb7, 1, 0, 0],
      [0x7b, 0x1a, -8, 0],
      [0xbf, 0xa2, 0, 0],
      [0x07, 2, 0, -4],
      [0x85, 0, 0, 5],
      [0x79, 0xa3, -8, 0],
      [0x15, 3, 1, 0],
    ] as const;
    expect(problems(plan([...spilled, ...helper(130)]), OLD)).toHaveLength(1);
    const kept = spilled.filter((_, index) => index !== 2 && index !== 3);
    expect(problems(plan([...kept, ...helper(130)]), OLD)).toEqual([]);
  });
});

describe("what is missing in the BTF", () => {
  it("is told by name", () => {
    const calls = [{ name: "program", section: "socket", calls: ["kfunc"] }];
    expect(problems(calls, OLD, "int kfunc(int);")).toEqual([["kfunc", "kfunc", null]]);
    expect(problems(calls, NEW, "int kfunc(int);").filter(([kind]) => kind === "kfunc")).toEqual([]);
    const fentry = (target: string) => plan([], `fentry/${target}`);
    expect(problems(fentry("vfs_write"), NEW)).toEqual([["attach", "vfs_write", null]]);
    expect(problems(fentry("vfs_read"), NEW)).toEqual([]);
  });
});

describe("an object", () => {
  it("loads if all that is loaded by default does", () => {
    const both = (section: string): ProgramPlan[] => [
      { name: "good", section: "socket" },
      { name: "bad", section, code: helper(130) },
    ];
    expect(compatObject(writePrograms(both("socket/x"), "int nothing;"), OLD).loads).toBe(false);
    expect(compatObject(writePrograms(both("?xdp"), "int nothing;"), OLD).loads).toBe(true);
  });
});

describe("the tables", () => {
  it("agree on when helpers came", () => {
    for (const { id, name, since } of HELPERS) expect([name, helperSince(id)]).toEqual([name, since]);
    expect(helperSince(211)).toBe("6.2");
    expect(helperSince(212)).toBeNull();
  });

  it("know every attach type", () => {
    let before = 0;
    for (const name of ATTACH_TYPES) {
      const since = findKernelVersion(attachTypeSince(name))!;
      expect(since, name).toBeGreaterThanOrEqual(before);
      before = since;
    }
    expect(before).toBe(kernelVersionCode(6, 13));
  });
});

describe("bpfjit compat", () => {
  const folder = mkdtempSync(join(tmpdir(), "bpfjit-compat-"));
  const path = (name: string): string => join(folder, name);
  beforeAll(() => {
    writeFileSync(path("5.4.btf"), btfOf("struct task { int state; };"));
    writeFileSync(path("6.12.btf"), btfOf("struct task { long pad; int __state; };"));
    writeFileSync(path("state.bpf.o"), writeObject(field({})));
    writeFileSync(path("none.bpf.o"), Uint8Array.of(1, 2, 3));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const kernels = ["--btf", path("5.4.btf"), path("6.12.btf")];

  it("prints a table and what is missing", async () => {
    const { code, stdout } = await bpfjit(["compat", path("state.bpf.o"), ...kernels]);
    expect(code).toBe(1);
    const lines = stdout.split("\n").map((line) => line.trim().split(/ {2,}/));
    expect(lines[0]).toEqual(["object", "5.4", "6.12"]);
    expect(lines[1]).toEqual([path("state.bpf.o"), "loads", "no: 1 of 1 programs"]);
    expect(stdout).toContain("struct task of the target has no fitting field state");
    expect((await bpfjit(["compat", path("state.bpf.o"), "--btf", path("5.4.btf")])).code).toBe(0);
  });

  it("prints JSON, a line for each object and kernel", async () => {
    const { code, stdout } = await bpfjit([
      "compat",
      "--json",
      path("state.bpf.o"),
      "--btf",
      path("5.4.btf"),
      `6.1=${path("6.12.btf")}`,
    ]);
    expect(code).toBe(1);
    expect(jsonLines(stdout)).toMatchObject([
      { kernel: "5.4", version: "5.4.0", loads: true, programs: [{ program: "program", loads: true, problems: [] }] },
      { version: "6.1.0", loads: false, programs: [{ problems: [{ kind: "relocation", name: "struct task.state" }] }] },
    ]);
  });

  it("goes on where an object cannot be read", async () => {
    const { code, stdout, stderr } = await bpfjit(["compat", path("none.bpf.o"), path("state.bpf.o"), ...kernels]);
    expect(code).toBe(1);
    expect(stdout).toContain("state.bpf.o");
    expect(stderr).toContain("ELF_");
    expect((await bpfjit(["compat", path("state.bpf.o"), "--btf", path("absent")])).code).toBe(2);
  });
});
