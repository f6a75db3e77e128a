/**
 * Programs on typed raw tracepoints that walk from an argument through kernel types: along pointers that the BTF has, and
 * along offsets that it may not have.
 */
import { assembleProgram } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import type { Btf } from "../../compiler/object/btf/btf.ts";
import type { Random } from "../random/rng.ts";

const SIZES = ["u8", "u16", "u32", "u64", "u64", "u64", "u64"];
const PREFIX = "btf_trace_";
const MOST_ARGUMENTS = 12;
const MOST_OFFSET = 32767;

/** Ids of the typedefs that name the kernel's raw tracepoints. */
export function tracepointIds(btf: Btf): number[] {
  const ids: number[] = [];
  for (const id of btf.idsOf("typedef")) if (btf.nameOf(id).startsWith(PREFIX)) ids.push(id);
  return ids;
}

function onTracepoint(btf: Btf, id: number, lines: readonly string[]): Program {
  return attached(btf, `tracing license=GPL attach=trace_raw_tp target=${btf.nameOf(id).slice(PREFIX.length)}`, lines);
}

const MAPS = [
  "; map: perf perf_event_array key=4 value=4 max=2",
  "; map: tasks task_storage key=4 value=8 flags=1",
  "; map: socks sk_storage key=4 value=8 flags=1",
  "; map: cgroups cgrp_storage key=4 value=8 flags=1",
];

function attached(btf: Btf, hook: string, lines: readonly string[], maps: readonly string[] = []): Program {
  const text = [`; prog: ${hook}`, ...maps, ...lines, "out:", "r0 = 0", "exit"].join("\n");
  return assembleProgram(text, { targetBtf: btf }).program;
}

/** One byte of what each argument points to. */
export function argumentPrograms(btf: Btf, id: number): Program[] {
  return Array.from({ length: MOST_ARGUMENTS }, (_, index) =>
    onTracepoint(btf, id, [`r2 = *(u64 *)(r1 + ${8 * index})`, "r2 = *(u8 *)(r2 + 0)"]),
  );
}

/** A walk of some steps from an argument of one of the tracepoints. */
export function walkProgram(btf: Btf, ids: readonly number[], random: Random): Program {
  const id = random.pick(ids);
  const pointer = btf.resolve(id);
  const proto = pointer.kind === "ptr" ? btf.resolve(pointer.type) : null;
  const parameters = proto?.kind === "func_proto" ? proto.parameters.slice(1) : [];
  const argument = random.below(parameters.length + 1);
  const lines = [`r2 = *(u64 *)(r1 + ${8 * argument})`];
  let struct = targetOf(btf, parameters[argument]?.type ?? 0);
  for (let steps = random.between(1, 5); steps > 0; steps--) {
    if (random.oneIn(4)) lines.push("if r2 == 0 goto out");
    if (random.oneIn(60)) lines.push("*(u64 *)(r2 + 0) = 1");
    if (random.oneIn(60)) lines.push("r2 += 8");
    const member = random.oneIn(8) ? null : anyMember(btf, struct, random);
    if (member === null) lines.push(`r2 = *(${random.pick(SIZES)} *)(r2 + ${4 * random.below(200)})`);
    else lines.push(`r2 = *(${member.size} *)(r2 + ${member.offset})`);
    struct = member === null ? 0 : targetOf(btf, member.type);
  }
  return onTracepoint(btf, id, lines);
}

interface KnownHook {
  readonly text: string;
  readonly parameters: readonly { readonly type: number }[];
}

const ITERATORS = "task task_file task_vma cgroup bpf_map bpf_map_elem bpf_prog tcp udp unix netlink sockmap".split(
  " ",
);
const MEMBERS = ["tcp_congestion_ops/ssthresh", "tcp_congestion_ops/cong_control", "bpf_dummy_ops/test_2"];

/** Some place that gives a program kernel pointers, and what it gives. */
function anyHook(btf: Btf, ids: readonly number[], random: Random): KnownHook {
  const sleepable = random.oneIn(4) ? " sleepable" : "";
  if (random.oneIn(3)) {
    const name = random.pick(ITERATORS);
    const func = btf.typeById(btf.findByName(`bpf_iter_${name}`, "func")!);
    const proto = func.kind === "func" ? btf.resolve(func.type) : null;
    const parameters = proto?.kind === "func_proto" ? proto.parameters : [];
    return { text: `tracing license=GPL attach=trace_iter target=${name}${sleepable}`, parameters };
  }
  if (random.oneIn(4)) {
    const [struct = "", name = ""] = random.pick(MEMBERS).split("/");
    const type = btf.typeById(btf.findByName(struct, "struct")!);
    const member = type.kind === "struct" ? type.members.find((one) => one.name === name) : undefined;
    const pointer = btf.resolve(member!.type);
    const proto = pointer.kind === "ptr" ? btf.resolve(pointer.type) : null;
    const parameters = proto?.kind === "func_proto" ? proto.parameters : [];
    return { text: `struct_ops license=GPL target=${struct}/${name}`, parameters };
  }
  const id = random.pick(ids);
  const pointer = btf.resolve(id);
  const proto = pointer.kind === "ptr" ? btf.resolve(pointer.type) : null;
  const parameters = proto?.kind === "func_proto" ? proto.parameters.slice(1) : [];
  return { text: `tracing license=GPL attach=trace_raw_tp target=${btf.nameOf(id).slice(PREFIX.length)}`, parameters };
}

/** Calls that take the pointer in r6 for something. */
const CALLS: readonly (readonly string[])[] = [
  ["r1 = r6", "r2 = r10", "r2 += -8", "r3 = 8", "r4 = 0", "call bpf_get_task_stack"],
  ["r1 = r6", "call bpf_task_pt_regs", "r7 = r0"],
  ["r1 = map[tasks] ll", "r2 = r6", "r3 = 0", "r4 = 1", "call bpf_task_storage_get", "r7 = r0"],
  ["r1 = map[cgroups] ll", "r2 = r6", "r3 = 0", "r4 = 1", "call bpf_cgrp_storage_get", "r7 = r0"],
  ["r1 = map[socks] ll", "r2 = r6", "r3 = 0", "r4 = 1", "call bpf_sk_storage_get", "r7 = r0"],
  ["r1 = map[socks] ll", "r2 = r6", "call bpf_sk_storage_delete"],
  ["r1 = r6", "call bpf_skc_to_tcp_sock", "r7 = r0"],
  ["r1 = r6", "call bpf_skc_to_udp6_sock", "r7 = r0"],
  ["r1 = r6", "call bpf_skc_to_unix_sock", "r7 = r0"],
  ["r1 = r6", "call bpf_sock_from_file", "r7 = r0"],
  ["r1 = r6", "call bpf_get_socket_cookie"],
  [
    "r1 = r6",
    "r2 = map[perf] ll",
    "r3 = 0",
    "*(u64 *)(r10 - 8) = 0",
    "r4 = r10",
    "r4 += -8",
    "r5 = 8",
    "call bpf_skb_output",
  ],
  ["r1 = r8", "r2 = map[perf] ll", "r3 = 0", "r4 = r6", "r5 = 8", "call bpf_perf_event_output"],
  ["r1 = r6", "r2 = 8", "r3 = 0", "call bpf_probe_read_kernel"],
  ["r1 = r10", "r1 += -8", "r2 = 8", "r3 = r6", "call bpf_probe_read_kernel"],
  ["r1 = r6", "r1 += 16", "r2 = r10", "r2 += -8", "*(u64 *)(r10 - 8) = 0", "r3 = 8", "call bpf_d_path"],
  ["r1 = r6", "r2 = r10", "r2 += -8", "*(u64 *)(r10 - 8) = 0", "r3 = 8", "call bpf_seq_write"],
  ["call bpf_get_current_task_btf", "r6 = r0"],
];

/** A walk from an argument of a hook, and calls of helpers with what was found. */
export function callProgram(btf: Btf, ids: readonly number[], random: Random): Program {
  const hook = anyHook(btf, ids, random);
  const argument = random.below(Math.max(1, hook.parameters.length));
  const lines = ["r8 = r1", "r7 = 0", `r6 = *(u64 *)(r1 + ${8 * argument})`];
  let struct = targetOf(btf, hook.parameters[argument]?.type ?? 0);
  for (let steps = random.below(3); steps > 0; steps--) {
    if (random.oneIn(2)) lines.push("if r6 == 0 goto out");
    const member = anyMember(btf, struct, random);
    if (member === null) break;
    lines.push(`r6 = *(${member.size} *)(r6 + ${member.offset})`);
    struct = targetOf(btf, member.type);
  }
  for (let calls = random.between(1, 3); calls > 0; calls--) {
    if (!random.oneIn(3)) lines.push("if r6 == 0 goto out");
    if (random.oneIn(12)) lines.push(`r6 += ${8 * random.between(-1, 4)}`);
    lines.push(...random.pick(CALLS));
    if (random.oneIn(3)) lines.push("if r7 == 0 goto out");
    if (random.oneIn(2)) lines.push("r1 = *(u64 *)(r7 + 0)");
    if (random.oneIn(4)) lines.push("r6 = r7");
    if (random.oneIn(12)) lines.push("*(u32 *)(r6 + 0) = 1");
  }
  return attached(btf, hook.text, lines, MAPS);
}

/** Id of the type that a pointer points to, 0 where `id` is no pointer. */
function targetOf(btf: Btf, id: number): number {
  const type = id === 0 ? null : btf.resolve(id);
  return type?.kind === "ptr" ? btf.skipModifiers(type.type) : 0;
}

interface Place {
  readonly offset: number;
  readonly type: number;
  readonly size: string;
}

/** Some member of a struct, or of one inside it; mostly pointers. */
function anyMember(btf: Btf, id: number, random: Random): Place | null {
  let type = id;
  let offset = 0;
  for (let depth = 0; depth < 6; depth++) {
    const struct = type === 0 ? null : btf.resolve(type);
    if (struct?.kind === "array") {
      offset += (btf.sizeOf(struct.element) ?? 0) * random.below(struct.length + 1);
      type = struct.element;
      continue;
    }
    if ((struct?.kind !== "struct" && struct?.kind !== "union") || struct.members.length === 0) break;
    const pointers = struct.members.filter((member) => targetOf(btf, member.type) !== 0);
    const member = random.pick(pointers.length > 0 && !random.oneIn(3) ? pointers : struct.members);
    offset += Math.floor(member.offsetBits / 8);
    type = member.type;
  }
  if (type === id || offset > MOST_OFFSET) return null;
  const bytes = btf.sizeOf(type) ?? 8;
  return { offset, type, size: bytes === 1 ? "u8" : bytes === 2 ? "u16" : bytes === 4 ? "u32" : "u64" };
}
