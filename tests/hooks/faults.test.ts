/**
 * Every error of attaching, with code, errno and message. Opening raw tracepoints is held to the running kernel, which is asked
 * only for what it refuses.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { kernelObjects, load } from "../../api/index.ts";
import { AttachError, toHex, UnsupportedError } from "../../base/index.ts";
import { parseAssembly } from "../../compiler/asm/index.ts";
import { encodeInsns, readObject } from "../../compiler/front.ts";
import { createRuntime, parseFormat } from "../../runtime/index.ts";
import { ERRNO, errnoName, programType } from "../../spec/index.ts";
import { compileC } from "../kernel/compile-c.ts";
import { compile } from "../runtime/compile.ts";
import { loadProbes, TARGET } from "./probes.ts";

const OBJECT = fileURLToPath(new URL("fixtures/faults.bpf.o", import.meta.url));
const OPENER = fileURLToPath(new URL("raw-open.c", import.meta.url));

const told = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof AttachError) return `${error.code} ${error.errno}: ${error.message}`;
    throw error;
  }
  return "attached";
};
/** The small kernel of these tests has no tracepoint that passes a buffer on; without a target any name will do. */
const loadFaults = (tracepoint: string) => load(OBJECT, tracepoint === "bpf_test_finish" ? {} : TARGET);

/** Program, tracepoint, and what is told; all are refused. */
const OPENS: readonly (readonly [program: string, tracepoint: string, expected: string])[] = [
  ["reads_none", "sched_swotch", "ATTACH_TARGET ENOENT: the target has no raw tracepoint sched_swotch"],
  ["reads_none", "", "ATTACH_TARGET ENOENT: the target has no raw tracepoint "],
  ["reads_none", "x".repeat(127), `ATTACH_TARGET ENOENT: the target has no raw tracepoint ${"x".repeat(127)}`],
  ["reads_none", "x".repeat(400), `ATTACH_TARGET ENOENT: the target has no raw tracepoint ${"x".repeat(400)}`],
  [
    "reads_all",
    "sched_switch",
    "ATTACH_TYPE EINVAL: program reads_all reads 96 bytes of ctx, events of sched_switch have 32",
  ],
  [
    "reads_all",
    "sys_enter",
    "ATTACH_TYPE EINVAL: program reads_all reads 96 bytes of ctx, events of sys_enter have 16",
  ],
  [
    "changes_error",
    "sched_switch",
    "ATTACH_TYPE EINVAL: program changes_error uses 4 bytes of a buffer, sched_switch passes 0 on",
  ],
  [
    "changes_more",
    "bpf_test_finish",
    "ATTACH_TYPE EINVAL: program changes_more uses 8 bytes of a buffer, bpf_test_finish passes 4 on",
  ],
  [
    "other_type",
    "sched_switch",
    "ATTACH_TYPE EINVAL: program other_type of type tracepoint does not fit raw_tracepoint sched_switch",
  ],
];

describe("a raw tracepoint", () => {
  it.each(OPENS)("is not opened by %s as %s", async (program, name, expected) => {
    const object = await loadFaults(name);
    expect(told(() => object.openRawTracepoint(name, object.program(program)))).toBe(expected);
    expect(object.runtime.hooks.links).toEqual([]);
    object.close();
  });

  it("that passes a buffer on has it changed, and is fired with nothing else", async () => {
    const object = await loadFaults("bpf_test_finish");
    const { hook } = object.openRawTracepoint("bpf_test_finish", object.program("changes_error"));
    const kernel = kernelObjects(object.runtime, TARGET);
    const passed = kernel.cred!();
    hook.fire([passed]);
    expect(object.runtime.world.view.getInt32(passed.address, true)).toBe(-5);
    for (const nothing of [0, 4096, 0xffff_8880_0000_0000n, 0xffff_c900_0000_0010n, 0xffff_c900_ffff_fffdn]) {
      expect(() => hook.fire([nothing])).toThrow("a kernel object is needed");
      expect(() => hook.fireBatch(new Uint8Array(new BigUint64Array([BigInt(nothing)]).buffer), 1)).toThrow("needed");
    }
    object.close();
  });
});

describe("other hooks", () => {
  it("say what is wrong, too", async () => {
    const { object } = await loadProbes([
      "on_raw",
      "on_typed",
      "on_tracepoint",
      "on_perf_event",
      "on_kretprobe",
      "on_fexit",
    ]);
    const { hooks } = object.runtime;
    const program = (name: string) => object.program(name);
    hooks.get("raw_tracepoint", "short").ctxBytes = 16;
    const link = program("on_kretprobe").attach();
    link.pin("taken");
    const detached = program("on_kretprobe").attach();
    detached.detach();
    const table = {
      typed: told(() => object.openRawTracepoint("sched_switch", program("on_typed"))),
      kind: told(() => program("on_raw").attach({ hook: hooks.get("tracepoint", "sched/sched_switch") })),
      attachType: told(() => program("on_fexit").attach({ hook: hooks.get("fentry", "do_unlinkat") })),
      unnamed: told(() => program("on_perf_event").attach()),
      arguments: told(() => program("on_raw").attach({ hook: hooks.get("raw_tracepoint", "short") })),
      none: told(() => object.attachMulti(program("on_kretprobe"), "kretprobe", [])),
      cookies: told(() => object.attachMulti(program("on_kretprobe"), "kretprobe", ["a", "b"], { cookies: [1n] })),
      notUsdt: told(() => object.attachUsdt(program("on_kretprobe"), "./a:b:c")),
      update: told(() => link.update(program("on_kretprobe"))),
      updateDetached: told(() => detached.update(program("on_kretprobe"))),
      pinTaken: told(() => program("on_kretprobe").attach().pin("taken")),
      pinDetached: told(() => detached.pin("other")),
    };
    const hook = hooks.get("tracepoint", "sched/sched_switch");
    const closing = program("on_tracepoint");
    object.close();
    expect({ ...table, closed: told(() => hook.attach(closing)) }).toMatchInlineSnapshot(`
      {
        "arguments": "ATTACH_TYPE EINVAL: program on_raw reads 32 bytes of ctx, events of short have 16",
        "attachType": "ATTACH_TYPE EINVAL: program on_fexit of type tracing does not fit fentry do_unlinkat",
        "closed": "ATTACH_FAILED EBADF: program on_tracepoint is closed",
        "cookies": "ATTACH_FAILED EINVAL: 1 cookies for 2 hooks",
        "kind": "ATTACH_TYPE EINVAL: program on_raw of type raw_tracepoint does not fit tracepoint sched/sched_switch",
        "none": "ATTACH_TARGET EINVAL: there is no hook to attach to",
        "notUsdt": "ATTACH_FAILED EINVAL: program on_kretprobe has no map __bpf_usdt_specs of probes' operands",
        "pinDetached": "ATTACH_FAILED ENOLINK: the link is detached",
        "pinTaken": "ATTACH_FAILED EEXIST: a link is pinned as taken already",
        "typed": "ATTACH_TYPE EINVAL: program on_typed names its tracepoint in its section",
        "unnamed": "ATTACH_TARGET ENOENT: section "perf_event" names no hook",
        "update": "ATTACH_FAILED EINVAL: links of kind kretprobe cannot be updated",
        "updateDetached": "ATTACH_FAILED ENOLINK: the link is detached",
      }
    `);
  });

  it("of perf events know no branch records: the program is refused, by the helper's name", async () => {
    const text =
      "; prog: perf_event name=branches\nr2 = 0\nr3 = 0\nr4 = 1\ncall bpf_read_branch_records\nr0 = 0\nexit\n";
    const refused = compile(text);
    await expect(refused).rejects.toThrow(UnsupportedError);
    await expect(refused).rejects.toThrow("bpf_read_branch_records");
  });

  it("refuse tracepoint programs that read past the record", async () => {
    const object = await loadFaults("");
    const hook = object.runtime.hooks.get("tracepoint", "sched/sched_switch");
    hook.ctxBytes = 24;
    expect(told(() => object.program("other_type").attach({ hook }))).toBe(
      "ATTACH_TYPE EACCES: program other_type reads 32 bytes of ctx, events of sched/sched_switch have 24",
    );
  });
});

const opener = compileOpener();

describe.skipIf(opener === null)("the running kernel", () => {
  it("refuses to open raw tracepoints with the same errno", () => {
    const outcomes = readObject(readFileSync(OBJECT), { name: OBJECT }).programs;
    const programs = new Map(outcomes.flatMap((each) => (each.ok ? [[each.program.name, each.program] as const] : [])));
    const lines = OPENS.map(([name, tracepoint]) => {
      const { type, insns } = programs.get(name)!;
      return `${programType(type).id} ${toHex(encodeInsns(insns))} ${tracepoint || "-"}\n`;
    });
    const output = execFileSync(opener!, { input: `${lines.join("")}17 closed sched_switch\n`, encoding: "utf8" });
    const answers = output
      .trim()
      .split("\n")
      .map((line) => errnoName(Number(line)));
    expect(answers).toEqual([...OPENS.map(([, , expected]) => expected.split(/[ :]/)[1]), "EBADF"]);
  });
});

/** Reads of one record, by where they end. */
const READS = [
  "r0 = *(u64 *)(r1 + 24)",
  "r0 = *(u8 *)(r1 + 32)",
  "r0 = *(u8 *)(r1 + 33)",
  "r0 = *(u64 *)(r1 + 32)",
  "r0 = *(u64 *)(r1 + 4096)",
];
const RECORD = "/sys/kernel/tracing/events/sched/sched_process_exit/format";

describe.skipIf(opener === null || !existsSync(RECORD))("links to perf events of the running kernel", () => {
  const ask = (lines: readonly string[]): string[] =>
    execFileSync(opener!, { input: lines.map((line) => `${line}\n`).join(""), encoding: "utf8" })
      .trim()
      .split("\n");
  const line = (type: "tracepoint" | "perf_event", text: string, event: string): string =>
    `${programType(type).id} ${toHex(encodeInsns(parseAssembly(text).insns))} @${event}`;

  it("refuse programs that read past the record, as here", async () => {
    const format = parseFormat(readFileSync(RECORD, "latin1"), "sched");
    const texts = READS.map((read) => `${read}\nr0 = 0\nexit`);
    const answers = ask(texts.map((text) => line("tracepoint", text, String(format.id))));
    const outcomes = await Promise.all(
      texts.map(async (text) => {
        await using runtime = createRuntime();
        const object = await runtime.link(await compile(`; prog: tracepoint name=reads\n${text}\n`));
        const hook = runtime.hooks.get("tracepoint", "sched/sched_process_exit");
        hook.ctxBytes = format.sizeBytes;
        return told(() => hook.attach(object.programs.reads!)).split(/[ :]/)[1] ?? "0";
      }),
    );
    expect(answers.map((answer) => (answer.startsWith("0") ? "0" : errnoName(Number(answer))))).toEqual(outcomes);
    expect(outcomes).toContain("EACCES");
  });

  it("refuse programs of another type, and another program in their place, as here", async () => {
    const text = "r0 = 0\nexit";
    const id = /^ID: (\d+)$/m.exec(readFileSync(RECORD, "latin1"))![1]!;
    const answers = ask([
      line("perf_event", text, "clock"),
      line("tracepoint", text, id),
      line("tracepoint", text, "clock"),
      line("perf_event", text, id),
    ]);
    const BPF_LINK_TYPE_PERF_EVENT = 7;
    const link = new RegExp(`^0 ${ERRNO.EINVAL} \\d+ ${BPF_LINK_TYPE_PERF_EVENT}$`);
    expect(answers.slice(0, 2)).toEqual([expect.stringMatching(link), expect.stringMatching(link)]);
    expect(answers.slice(2)).toEqual([`${ERRNO.EINVAL}`, `${ERRNO.EINVAL}`]);
    await using runtime = createRuntime();
    const both = ["perf_event", "tracepoint"].map((type) => `; prog: ${type} name=${type}\n${text}\n`);
    const { programs } = await runtime.link(await compile(...both));
    for (const kind of ["perf_event", "tracepoint"] as const) {
      const hook = runtime.hooks.get(kind, "any");
      const made = hook.attach(programs[kind]!);
      expect(told(() => made.update(programs[kind]!))).toContain("EINVAL");
      const other = kind === "tracepoint" ? "perf_event" : "tracepoint";
      expect(told(() => hook.attach(programs[other]!))).toContain("EINVAL");
    }
  });
});

/** Null where there is no compiler, or bpf() is not allowed. */
function compileOpener(): string | null {
  if (!existsSync("/sys/kernel/btf/vmlinux") || process.getuid?.() !== 0) return null;
  const path = compileC(OPENER);
  if (path === null) return null;
  const exits = "b7000000000000009500000000000000";
  const { stdout } = spawnSync(path, { input: `17 ${exits} no_such_name\n`, encoding: "utf8" });
  return stdout.startsWith("2\n") ? path : null;
}
