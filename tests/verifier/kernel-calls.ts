/**
 * Calls of every kernel function: from every kind of program with nothing in the registers, to see who may call it; and from
 * some that may, with every kind of value in each argument while the others are what it wants, as far as a few instructions
 * can make it. One program a call.
 */
import { assembleProgram } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import type { Btf } from "../../compiler/object/btf/btf.ts";
import type { BtfParameter } from "../../compiler/object/btf/types.ts";
import { KERNEL_FUNCTIONS, type NamedKernelFunction, PROGRAM_TYPES } from "../../spec/index.ts";

export interface KernelCallCase {
  /** `bpf_task_acquire tracepoint r1=zero` */
  readonly name: string;
  readonly program: Program;
}

/** How a register is given each kind of value; r6 … r9 hold the context, the task, a map's value, a number. */
const VALUES = {
  nothing: () => [],
  zero: (r: number) => [`r${r} = 0`],
  eight: (r: number) => [`r${r} = 8`],
  minus: (r: number) => [`r${r} = -1`],
  number: (r: number) => [`r${r} = r9`],
  stack: (r: number) => [`r${r} = r10`, `r${r} += -64`],
  empty: (r: number) => [`r${r} = r10`, `r${r} += -256`],
  odd: (r: number) => [`r${r} = r10`, `r${r} += -255`],
  dynptr: (r: number) => [`r${r} = r10`, `r${r} += -80`],
  iterator: (r: number) => [`r${r} = r10`, `r${r} += -88`],
  ctx: (r: number) => [`r${r} = r6`],
  moved: (r: number) => [`r${r} = r6`, `r${r} += 8`],
  map: (r: number) => [`r${r} = map[values] ll`],
  value: (r: number) => [`r${r} = r8`],
  string: (r: number) => [`r${r} = map[strings][0] ll`],
  task: (r: number) => [`r${r} = r7`],
  inside: (r: number) => [`r${r} = r7`, `r${r} += 8`],
  function: (r: number) => [`r${r} = func callback ll`],
  cpumask: (r: number, btf: Btf) => [`r${r} = *(u64 *)(r7 + ${offsetOf(btf, "task_struct", "cpus_ptr")})`],
  cgroup: (r: number, btf: Btf) => [
    `r${r} = *(u64 *)(r7 + ${offsetOf(btf, "task_struct", "cgroups")})`,
    `r${r} = *(u64 *)(r${r} + ${offsetOf(btf, "css_set", "dfl_cgrp")})`,
  ],
  mm: (r: number, btf: Btf) => [`r${r} = *(u64 *)(r7 + ${offsetOf(btf, "task_struct", "mm")})`],
} as const satisfies Record<string, (register: number, btf: Btf) => readonly string[]>;
type Value = keyof typeof VALUES;
const SUBSTITUTES = Object.keys(VALUES) as Value[];

function offsetOf(btf: Btf, struct: string, field: string): number {
  const type = btf.typeById(btf.findByName(struct, "struct")!);
  if (type.kind !== "struct") throw new Error(`${struct} is no struct`);
  return type.members.find(({ name }) => name === field)!.offsetBits / 8;
}

const OF_STRUCT: Readonly<Record<string, Value>> = {
  __sk_buff: "ctx",
  xdp_md: "ctx",
  bpf_sock_addr_kern: "ctx",
  bpf_sock_ops_kern: "ctx",
  bpf_dynptr: "dynptr",
  task_struct: "task",
  cgroup: "cgroup",
  cpumask: "cpumask",
};

function wanted(btf: Btf, { name, type }: BtfParameter, index: number): Value {
  const target = btf.resolve(type);
  if (target.kind !== "ptr") return "eight";
  if (name.endsWith("__str")) return "string";
  if (name.endsWith("__map")) return "map";
  if (name.endsWith("__uninit")) return "empty";
  const pointed = btf.resolve(target.type);
  if (pointed.kind === "func_proto") return "function";
  if (pointed.name.startsWith("bpf_iter_") && index === 0) return "empty";
  if (name.endsWith("__irq_flag")) return "empty";
  return OF_STRUCT[pointed.name] ?? "stack";
}

interface Kind {
  readonly type: string;
  readonly attach?: string;
  readonly sleepable?: true;
}
const NOT_ASKED: readonly string[] = ["raw", "lirc_mode2", "tracing", "struct_ops", "ext", "lsm", "netfilter"];
/** Where two program types differ in nothing that matters here. */
const ASKED: readonly Kind[] = [
  { type: "syscall", sleepable: true },
  { type: "tracepoint" },
  { type: "xdp" },
  { type: "sched_cls" },
  { type: "cgroup_skb" },
  { type: "cgroup_sock_addr", attach: "cgroup_inet4_connect" },
  { type: "kprobe", attach: "trace_kprobe_session" },
  { type: "kprobe", sleepable: true },
];

/** May every kind of program call it? */
export function allowances(btf: Btf): KernelCallCase[] {
  const attachTypes = {
    cgroup_sock_addr: "cgroup_inet4_connect",
    cgroup_sockopt: "cgroup_setsockopt",
    sk_lookup: "sk_lookup",
  };
  const kinds: Kind[] = PROGRAM_TYPES.filter(({ name }) => !NOT_ASKED.includes(name)).map(({ name, sleepable }) => ({
    type: name,
    ...(name in attachTypes && { attach: attachTypes[name as keyof typeof attachTypes] }),
    ...(sleepable === "only" && { sleepable: true as const }),
  }));
  return kinds.flatMap((kind) =>
    present(btf).map(({ name }) => ({
      name: `${name} ${nameOf(kind)}`,
      program: assemble(btf, kind, [`call ${name}`, "r0 = 0", "exit"]),
    })),
  );
}

const present = (btf: Btf): NamedKernelFunction[] =>
  KERNEL_FUNCTIONS.filter(({ name }) => btf.findByName(name, "func") !== null);

const nameOf = ({ type, attach, sleepable }: Kind): string =>
  [type, ...(attach ? [attach] : []), ...(sleepable ? ["sleepable"] : [])].join(" ");

function assemble(btf: Btf, kind: Kind, lines: readonly string[]): Program {
  const head = [
    "; map: values hash key=4 value=64 max=4",
    "; map: strings array key=4 value=8 max=1 flags=128 frozen initial=6162630000000000",
    `; prog: ${nameOf(kind).replace(/ (\w+)/, (all, word: string) => (word === "sleepable" ? all : ` attach=${word}`))} license=GPL`,
  ];
  return assembleProgram([...head, ...lines].join("\n"), { targetBtf: btf }).program;
}

export function calls(btf: Btf): KernelCallCase[] {
  return present(btf).flatMap((spec) => {
    const { parameters } = prototypeOf(btf, spec.name);
    const usual = parameters.slice(0, 5).map((parameter, index) => wanted(btf, parameter, index));
    return ASKED.filter((kind) => mayCall(spec, kind))
      .slice(0, 3)
      .flatMap((kind) => {
        const call = (values: readonly Value[], name: string): KernelCallCase => ({
          name: `${spec.name} ${nameOf(kind)} ${name}`,
          program: assemble(btf, kind, body(btf, spec.name, values)),
        });
        const substituted = usual.flatMap((_, index) =>
          SUBSTITUTES.map((value) => call(usual.with(index, value), `r${index + 1}=${value}`)),
        );
        return [call(usual, "usual"), ...substituted];
      });
  });
}

function prototypeOf(btf: Btf, name: string): { readonly parameters: readonly BtfParameter[] } {
  const func = btf.typeById(btf.findByName(name, "func")!);
  const proto = func.kind === "func" ? btf.typeById(func.type) : null;
  return { parameters: proto?.kind === "func_proto" ? proto.parameters : [] };
}

function mayCall({ audience }: NamedKernelFunction, { type, attach }: Kind): boolean {
  return audience === "all" || audience.some((who) => who === type || who === `${type}/${attach}`);
}

/** A dynptr, an iterator of numbers, a task, a map's value; then the call, and what becomes of its result. */
function body(btf: Btf, name: string, values: readonly Value[]): string[] {
  return [
    "r6 = r1",
    ...Array.from({ length: 8 }, (_, index) => `*(u64 *)(r10 - ${8 * (index + 1)}) = 0`),
    ...["r1 = map[values] ll", "r2 = r10", "r2 += -8", "call bpf_map_lookup_elem", "if r0 == 0 goto out", "r8 = r0"],
    ...(values.includes("dynptr")
      ? ["r1 = r8", "r2 = 64", "r3 = 0", "r4 = r10", "r4 += -80", "call bpf_dynptr_from_mem"]
      : []),
    ...(values.includes("iterator") ? ["r1 = r10", "r1 += -88", "r2 = 0", "r3 = 9", "call bpf_iter_num_new"] : []),
    ...["call bpf_get_prandom_u32", "r9 = r0", "call bpf_get_current_task_btf", "r7 = r0"],
    ...values.flatMap((value, index) => VALUES[value](index + 1, btf)),
    `call ${name}`,
    ...["r1 = r0", "out:", "r0 = 0", "exit"],
    ...(values.includes("function") ? ["callback:", "r0 = 0", "exit"] : []),
  ];
}
