/**
 * Hooks: the places that run programs. Which programs a kind of hook takes, which SEC names ask for it, what the ctx of its
 * events is. A program belongs to the first kind whose `sections` names its section's prefix.
 * Source: libbpf's section_defs[]; kernel/trace/bpf_trace.c, kernel/bpf/trampoline.c (what r1 points to).
 */
import type { AudienceMember } from "./helpers/row.ts";
import { type Architecture, registerFile } from "./registers.ts";

/**
 * payload: the bytes of a tracepoint's record. arguments: a u64 each, behind CTX_HEAD (abi.ts); `result` tells whether the
 * function's result follows them. registers: struct pt_regs, behind CTX_HEAD. perfEvent: struct bpf_perf_event_data.
 * iterator: arguments of what a link walks: nothing fires it, its text is read.
 */
export type HookContext = "payload" | "arguments" | "registers" | "perfEvent" | "packet" | "memory" | "iterator";

export interface HookSpec {
  readonly kind: string;
  readonly context: HookContext;
  /** programs that can be attached: of a type, or only those of it with this expected attach type */
  readonly programs: readonly AudienceMember[];
  /** prefixes of SEC names */
  readonly sections: readonly string[];
  /** those of them that name a system call: `ksyscall/kill` is a probe of its function, `__x64_sys_kill` */
  readonly systemCalls?: readonly string[];
  /** arguments: the result of the function stands behind them */
  readonly result?: true;
  /** another program may take the place of one that is attached. Kernel: bpf_link_ops.update_prog */
  readonly updatable?: true;
}

export const HOOKS = [
  { kind: "tracepoint", context: "payload", programs: ["tracepoint"], sections: ["tracepoint", "tp"] },
  {
    kind: "raw_tracepoint",
    context: "arguments",
    programs: ["raw_tracepoint", "raw_tracepoint_writable", "tracing/trace_raw_tp"],
    sections: ["raw_tracepoint", "raw_tp", "raw_tracepoint.w", "raw_tp.w", "tp_btf"],
  },
  {
    kind: "kprobe",
    context: "registers",
    programs: ["kprobe"],
    sections: ["kprobe", "kprobe.multi", "ksyscall"],
    systemCalls: ["ksyscall"],
  },
  {
    kind: "kretprobe",
    context: "registers",
    programs: ["kprobe"],
    sections: ["kretprobe", "kretprobe.multi", "kretsyscall"],
    systemCalls: ["kretsyscall"],
  },
  {
    kind: "uprobe",
    context: "registers",
    programs: ["kprobe"],
    sections: ["uprobe", "uprobe.s", "uprobe.multi", "uprobe.multi.s"],
  },
  {
    kind: "uretprobe",
    context: "registers",
    programs: ["kprobe"],
    sections: ["uretprobe", "uretprobe.s", "uretprobe.multi", "uretprobe.multi.s"],
  },
  { kind: "usdt", context: "registers", programs: ["kprobe"], sections: ["usdt", "usdt.s"] },
  { kind: "perf_event", context: "perfEvent", programs: ["perf_event"], sections: ["perf_event"] },
  {
    kind: "fentry",
    context: "arguments",
    programs: ["tracing/trace_fentry"],
    sections: ["fentry", "fentry.s"],
  },
  {
    kind: "fexit",
    context: "arguments",
    programs: ["tracing/trace_fexit"],
    sections: ["fexit", "fexit.s"],
    result: true,
  },
  {
    kind: "fmod_ret",
    context: "arguments",
    programs: ["tracing/modify_return"],
    sections: ["fmod_ret", "fmod_ret.s"],
    result: true,
  },
  {
    kind: "iter",
    context: "iterator",
    programs: ["tracing/trace_iter"],
    sections: ["iter", "iter.s"],
    updatable: true,
  },
  { kind: "socket_filter", context: "packet", programs: ["socket_filter"], sections: ["socket"] },
  { kind: "sched_cls", context: "packet", programs: ["sched_cls"], sections: [], updatable: true },
  { kind: "xdp", context: "packet", programs: ["xdp"], sections: [], updatable: true },
  { kind: "raw", context: "memory", programs: ["raw"], sections: [] },
] as const satisfies readonly HookSpec[];

/** Kinds of hooks. A name belongs to a kind: `sched/sched_switch` of tracepoint, `sched_switch` of raw_tracepoint. */
export type HookKind = (typeof HOOKS)[number]["kind"];

type NamedHook = HookSpec & { readonly kind: HookKind };
const BY_KIND = new Map<HookKind, NamedHook>(HOOKS.map((spec) => [spec.kind, spec]));
const BY_SECTION = new Map<string, NamedHook>(
  HOOKS.flatMap((spec: NamedHook) => spec.sections.map((section) => [section, spec] as const)),
);

export const hookSpec = (kind: HookKind): NamedHook => BY_KIND.get(kind)!;

/** Programs for the entry of a function and its return, with a cookie between the two: judged, not run. */
const SESSIONS: readonly (string | null)[] = ["trace_kprobe_session", "trace_uprobe_session"];

/** Whether a program of this type and attach type can be attached to hooks of the kind. */
export const takesProgram = (spec: HookSpec, type: string, attachType: string | null): boolean =>
  !SESSIONS.includes(attachType) && spec.programs.some((who) => who === type || who === `${type}/${attachType}`);

/** What of a program says which hook it is for. */
export interface HookSeeker {
  readonly section: string;
  readonly type: string;
  readonly attachType: string | null;
}

/** The kind of hook that the section asks for, else the only one that takes such programs; null: none, or it is open. */
export function hookOfProgram({ section, type, attachType }: HookSeeker): NamedHook | null {
  const named = BY_SECTION.get(prefixOf(section));
  if (named !== undefined) return named;
  const fitting = HOOKS.filter((spec) => spec.sections.length > 0 && takesProgram(spec, type, attachType));
  return fitting.length === 1 ? fitting[0]! : null;
}

/** Name of the hook for what the section, or whoever changed it, names. */
export function hookName(section: string, target: string, architecture?: Architecture): string {
  const prefix = prefixOf(section);
  const isCall = BY_SECTION.get(prefix)?.systemCalls?.includes(prefix) === true;
  return isCall ? registerFile(architecture).syscallPrefix + target : target;
}

/** Sections that are not loaded by default begin with a question mark. */
const prefixOf = (section: string): string => section.split("/", 1)[0]!.replace(/^\?/, "");
