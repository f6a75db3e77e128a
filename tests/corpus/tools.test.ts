/**
 * Tools that other people wrote, run unmodified on fired events: what they count and report is held to values worked out by
 * hand. The objects are no part of the repository: BPFJIT_CORPUS names the folder of a corpus of them (`objects/libbpf-tools`).
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Hook, type Kernel, kernelObjects, type LoadedObject, openObject, readKernel } from "../../api/index.ts";
import type { HookKind } from "../../spec/index.ts";

const FOLDER = join(process.env.BPFJIT_CORPUS ?? "/tmp/corpus", "objects/libbpf-tools");
const KERNEL = "/sys/kernel/btf/vmlinux";
const CAN_RUN = existsSync(FOLDER) && existsSync(KERNEL);
const TARGET = CAN_RUN ? readKernel(KERNEL) : null;

interface Tool {
  readonly object: LoadedObject;
  readonly kernel: Kernel;
  hook(kind: HookKind, name: string): Hook;
  /** records since the last call, as bytes */
  records(): DataView[];
}

async function load(name: string, programs: readonly string[], sizes: Record<string, number> = {}): Promise<Tool> {
  const opened = await openObject(join(FOLDER, `${name}-libbpf.bpf.o`), TARGET!);
  const chosen = Object.values(opened.programs).filter(({ section }) => programs.includes(section));
  expect(chosen.length).toBe(programs.length);
  for (const [map, entries] of Object.entries(sizes)) opened.map(map).maxEntries = entries;
  const object = await opened.select(chosen.map((program) => program.name)).load({ runtimeOptions: { cpus: 2 } });
  object.attach();
  const seen: DataView[] = [];
  const reading = object.openRecords(({ data }) => {
    const copy = Uint8Array.from(data);
    seen.push(new DataView(copy.buffer));
  });
  return {
    object,
    kernel: kernelObjects(object.runtime, TARGET!),
    hook: (kind, hookName) => object.runtime.hooks.get(kind, hookName),
    records: () => {
      reading.drain();
      return seen.splice(0);
    },
  };
}

const text = (view: DataView, offset: number, most = 64): string => {
  const bytes = new Uint8Array(view.buffer).subarray(offset, offset + most);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
};
const slotsOf = (value: unknown): number[] => [...(value as { slots: Iterable<number> }).slots].map(Number);
const only = (slots: readonly number[], counts: Readonly<Record<number, number>>): void =>
  expect(Object.fromEntries([...slots.entries()].filter(([, count]) => count > 0))).toEqual(counts);
const MS = 1_000_000n;

describe.skipIf(!CAN_RUN)("tools of the corpus", () => {
  it("biolatency: time from issue to completion, in powers of two of µs", async () => {
    const { object, kernel, hook } = await load("biolatency", ["tp_btf/block_rq_issue", "tp_btf/block_rq_complete"]);
    const disk = kernel.gendisk!({ major: 8, first_minor: 0 });
    const requests = [5n, 6n, 300n].map((us) => ({ us, request: kernel.request!({ q: { disk }, __data_len: 4096 }) }));
    for (const { request } of requests) hook("raw_tracepoint", "block_rq_issue").fire([request], { timeNs: MS });
    for (const { us, request } of requests) {
      hook("raw_tracepoint", "block_rq_complete").fire([request, 0, 4096], { timeNs: MS + us * 1000n });
    }
    const [[, hist]] = [...object.maps.hists!] as [[unknown, unknown]];
    only(slotsOf(hist), { 2: 2, 8: 1 });
    expect([...object.maps.start!].length).toBe(0);
  });

  it("biosnoop: who read which sector, how long it took", async () => {
    const programs = ["tp_btf/block_io_start", "tp_btf/block_rq_issue", "tp_btf/block_rq_complete"];
    const { kernel, hook, records } = await load("biosnoop", programs);
    const request = kernel.request!({
      q: { disk: kernel.gendisk!({ major: 259, first_minor: 3 }) },
      __sector: 0x1234n,
      __data_len: 8192,
      cmd_flags: 1,
    });
    const task = { pid: 77, tgid: 70, comm: "dd" };
    hook("raw_tracepoint", "block_io_start").fire([request], { task, timeNs: 10n * MS });
    hook("raw_tracepoint", "block_rq_issue").fire([request], { timeNs: 11n * MS });
    hook("raw_tracepoint", "block_rq_complete").fire([request, 0, 8192], { timeNs: 14n * MS });
    const [record, ...more] = records();
    expect(more).toEqual([]);
    // struct event { char comm[16]; __u64 delta, qdelta, ts, sector; __u32 len, pid, cmd_flags, dev; }
    expect([text(record!, 0), record!.getBigUint64(16, true), record!.getBigUint64(32, true)]).toEqual([
      "dd",
      3n * MS,
      14n * MS,
    ]);
    expect([record!.getBigUint64(40, true), ...[48, 52, 56, 60].map((at) => record!.getUint32(at, true))]).toEqual([
      0x1234n,
      8192,
      70,
      1,
      (259 << 20) | 3,
    ]);
  });

  it("bitesize: sizes of requests by command", async () => {
    const { object, kernel, hook } = await load("bitesize", ["tp_btf/block_rq_issue"]);
    const issue = hook("raw_tracepoint", "block_rq_issue");
    for (const kib of [4, 5, 64, 1]) {
      const request = kernel.request!({ q: { disk: { major: 8 } }, __data_len: kib * 1024 });
      issue.fire([request], { task: { pid: 1, comm: kib === 1 ? "cp" : "dd" } });
    }
    const hists = new Map([...object.maps.hists!].map(([key, value]) => [(key as { comm: string }).comm, value]));
    expect([...hists.keys()].sort()).toEqual(["cp", "dd"]);
    only(slotsOf(hists.get("dd")), { 2: 2, 6: 1 });
    only(slotsOf(hists.get("cp")), { 0: 1 });
  });

  it("cpudist: time that threads spend on a CPU", async () => {
    const sizes = { start: 64, hists: 64 };
    const { object, kernel, hook } = await load("cpudist", ["tp_btf/sched_switch"], sizes);
    const [a, b] = [kernel.task_struct!({ pid: 1, tgid: 1 }), kernel.task_struct!({ pid: 2, tgid: 2 })];
    const sched = hook("raw_tracepoint", "sched_switch");
    sched.fire([0, a, b, 0], { timeNs: 1n * MS });
    sched.fire([0, b, a, 0], { timeNs: 1n * MS + 100_000n });
    sched.fire([0, a, b, 0], { timeNs: 1n * MS + 103_000n });
    const [[, hist]] = [...object.maps.hists!] as [[unknown, unknown]];
    only(slotsOf(hist), { 1: 1, 6: 1 });
  });

  it("drsnoop: direct reclaims with their time and pages", async () => {
    const programs = ["tp_btf/mm_vmscan_direct_reclaim_begin", "tp_btf/mm_vmscan_direct_reclaim_end"];
    const { hook, records } = await load("drsnoop", programs);
    const task = { pid: 9, tgid: 8, comm: "hog" };
    hook("raw_tracepoint", "mm_vmscan_direct_reclaim_begin").fire([0, 0], { task, timeNs: 5n * MS });
    hook("raw_tracepoint", "mm_vmscan_direct_reclaim_end").fire([32], { task, timeNs: 7n * MS });
    const [record] = records();
    // struct event { char task[16]; __u64 delta_ns, nr_reclaimed, nr_free_pages; pid_t pid; }
    expect([text(record!, 0), record!.getBigUint64(16, true), record!.getBigUint64(24, true)]).toEqual([
      "hog",
      2n * MS,
      32n,
    ]);
    // the thread, for all that it is called pid
    expect(record!.getInt32(40, true)).toBe(9);
  });

  it("execsnoop: arguments of a successful exec", async () => {
    const programs = ["tracepoint/syscalls/sys_enter_execve", "tracepoint/syscalls/sys_exit_execve"];
    const { kernel, hook, records } = await load("execsnoop", programs);
    const task = {
      pid: 40,
      tgid: 40,
      uid: 1000,
      comm: "ls",
      taskStruct: kernel.task_struct!({ tgid: 40, real_parent: { tgid: 7 } }).pointer,
    };
    const [path, argv, dash] = [0x7000_0000n, 0x7000_1000n, 0x7000_2000n];
    const pointers = new BigUint64Array([path, dash, 0n]);
    const memory = [
      { address: path, bytes: "/bin/ls" },
      { address: argv, bytes: new Uint8Array(pointers.buffer) },
      { address: dash, bytes: "-la" },
    ];
    const enter = new DataView(new ArrayBuffer(40));
    enter.setBigUint64(16, path, true);
    enter.setBigUint64(24, argv, true);
    hook("tracepoint", "syscalls/sys_enter_execve").fire(new Uint8Array(enter.buffer), { task, memory });
    expect(records()).toEqual([]);
    hook("tracepoint", "syscalls/sys_exit_execve").fire(new Uint8Array(24), { task });
    const [record] = records();
    // struct event { pid_t pid, ppid; uid_t uid; int retval, args_count; unsigned int args_size; char comm[16]; char args[]; }
    expect([0, 4, 8, 12, 16, 20].map((at) => record!.getInt32(at, true))).toEqual([40, 7, 1000, 0, 2, 12]);
    expect([text(record!, 24), text(record!, 40), text(record!, 48)]).toEqual(["ls", "/bin/ls", "-la"]);
  });

  it("exitsnoop: age and exit code of what ends", async () => {
    const { kernel, hook, records } = await load("exitsnoop", ["tracepoint/sched/sched_process_exit"]);
    const ended = kernel.task_struct!({ start_time: 1n * MS, exit_code: 3 << 8, real_parent: { tgid: 5 } });
    const task = { pid: 60, tgid: 60, comm: "false", taskStruct: ended.pointer };
    hook("tracepoint", "sched/sched_process_exit").fire(new Uint8Array(40), { task, timeNs: 9n * MS });
    const [record] = records();
    // struct event { __u64 start_time, exit_time; pid_t pid, tid, ppid; int sig, exit_code; char comm[16]; }
    expect([record!.getBigUint64(0, true), record!.getBigUint64(8, true)]).toEqual([MS, 9n * MS]);
    expect([16, 20, 24, 28, 32].map((at) => record!.getInt32(at, true))).toEqual([60, 60, 5, 0, 3]);
    expect(text(record!, 36)).toBe("false");
  });

  it("bashreadline: the line that readline returned", async () => {
    const tool = await load("bashreadline", ["uretprobe/readline"]);
    const hook = tool.hook("uretprobe", "readline");
    const memory = [{ address: 0x55_0000n, bytes: "echo hello" }];
    hook.fire({ result: 0x55_0000n }, { task: { pid: 11, tgid: 10, comm: "bash" }, memory });
    hook.fire({ result: 0 }, { task: { pid: 11, tgid: 10, comm: "bash" } });
    const [record, ...more] = tool.records();
    expect([record!.getUint32(0, true), text(record!, 4), more.length]).toEqual([10, "echo hello", 0]);
  });

  it("gethostlatency: how long a lookup of a host took", async () => {
    const { object, records } = await load("gethostlatency", ["uprobe", "uretprobe"]);
    const hooks = object.runtime.hooks;
    const [enter, leave] = [hooks.get("uprobe", "libc:getaddrinfo"), hooks.get("uretprobe", "libc:getaddrinfo")];
    for (const program of Object.values(object.programs)) {
      program.attach({ hook: program.manifest.section === "uprobe" ? enter : leave });
    }
    const task = { pid: 21, tgid: 20, comm: "curl" };
    // it copies 80 bytes, whatever the text's length
    const host = `example.org${"\0".repeat(80)}`;
    enter.fire([0x1000n], { task, timeNs: 1n * MS, memory: [{ address: 0x1000n, bytes: host }] });
    leave.fire({ result: 0 }, { task, timeNs: 4n * MS });
    const [record] = records();
    // struct event { __u64 time; pid_t pid; char comm[16]; char host[80]; }
    expect([record!.getBigUint64(0, true), record!.getInt32(8, true)]).toEqual([3n * MS, 20]);
    expect([text(record!, 12), text(record!, 28)]).toEqual(["curl", "example.org"]);
  });

  it("hardirqs: time in each handler", async () => {
    const { object, kernel, hook } = await load("hardirqs", ["tp_btf/irq_handler_entry", "tp_btf/irq_handler_exit"]);
    const action = kernel.irqaction!({ name: "virtio0", irq: 24 });
    for (const [start, us] of [
      [1n, 10n],
      [2n, 20n],
    ] as const) {
      hook("raw_tracepoint", "irq_handler_entry").fire([24, action], { timeNs: start * MS });
      hook("raw_tracepoint", "irq_handler_exit").fire([24, action, 1], { timeNs: start * MS + us * 1000n });
    }
    const [[key, info]] = [...object.maps.infos!] as [[{ name: string }, { count: bigint }]];
    expect([key.name, Number(info.count)]).toEqual(["virtio0", 30]);
  });
});
