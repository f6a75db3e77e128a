/**
 * What a row of the tables of helpers says, and the words that rows are written in: argument kinds, sets of programs.
 * Argument kinds are the kernel's ARG_*, results its RET_*, modifiers its type flags.
 */
import { helperSince } from "../helper-names.ts";
import type { ProgramTypeName } from "../program-types.ts";
import type { AttachTypeName } from "../sections.ts";

export type ArgSpec =
  /** `unchecked`: need not hold a value at all (what the format does not ask for) */
  | { readonly is: "anything"; readonly bits: 32 | 64; readonly unchecked?: true }
  | {
      readonly is:
        | "scalar"
        | "constMapPtr"
        | "mapKey"
        | "constSize"
        | "constSizeOrZero"
        | "constAllocSizeOrZero"
        | "constStr"
        | "func";
    }
  | { readonly is: "ctx"; readonly maybeNull?: true }
  | { readonly is: "mapValue"; readonly uninit?: true; readonly maybeNull?: true }
  /** memory whose length is the next constSize argument, or `size` bytes where given */
  | {
      readonly is: "mem";
      /** the helper only reads it, so it may be read-only memory */
      readonly readOnly?: true;
      /** need not be initialised; the helper writes it */
      readonly uninit?: true;
      /** the helper writes it, but it must be initialised before */
      readonly write?: true;
      readonly maybeNull?: true;
      readonly size?: number;
      /** wants natural alignment of `size` */
      readonly aligned?: true;
    }
  /** pointer to stack memory or null: the callback's context */
  | { readonly is: "stackOrNull" }
  | { readonly is: "ringbufMem"; readonly release: true }
  /** a record of a perf buffer: kfuncs.ts */
  | { readonly is: "perfMem"; readonly release: true }
  | { readonly is: "spinLock" | "timer" | "kptrXchgDest" | "sockCommon" | "percpuBtfId" }
  | { readonly is: "socket"; readonly maybeNull?: true }
  /** `type` "kptr": what the destination of the exchange says */
  | { readonly is: "btfId"; readonly type: string; readonly maybeNull?: true; readonly release?: true }
  | { readonly is: "btfIdSockCommon"; readonly maybeNull?: true; readonly release?: true }
  | {
      readonly is: "dynptr";
      readonly dynptr: "any" | "local" | "ringbuf" | "skb" | "xdp";
      readonly uninit?: true;
      readonly readOnly?: true;
      readonly release?: true;
    };

export type RetSpec =
  | "int"
  | "u32"
  | "u64"
  | "void"
  | "mapValue"
  | "mapValueOrNull"
  | "allocMemOrNull"
  | "ringbufMemOrNull"
  | "perfMemOrNull"
  | "socketOrNull"
  | "tcpSockOrNull"
  | "sockCommonOrNull"
  | "btfId"
  | "btfIdOrNull"
  | "btfIdTrusted"
  | "memOrBtfId"
  | "memOrBtfIdOrNull"
  | "dynptrMemOrNull"
  | "kptrOrNull";

/** Programs of a type, or only those of it with this expected attach type. */
export type AudienceMember = ProgramTypeName | `${ProgramTypeName}/${AttachTypeName}`;
/** Which programs may call it. Kernel: get_func_proto() of each program type. */
export type HelperAudience = "all" | readonly AudienceMember[];

/**
 * Where it is implemented. "map": a library function chosen by the map's storage (library.ts, MAP_OPERATIONS);
 * "lowering": the lowering emits it itself; null: nowhere yet, so a program that calls it is judged, but not run.
 */
export type HelperHome = "wasm" | "js" | "map" | "lowering" | null;

export interface HelperSpec {
  readonly id: number;
  readonly name: string;
  readonly args: readonly ArgSpec[];
  readonly ret: RetSpec;
  /** name of the kernel type for btfId results */
  readonly retType?: string;
  readonly gplOnly: boolean;
  readonly audience: HelperAudience;
  readonly home: HelperHome;
  readonly since: string;
  /** programs that may call it without such a license all the same */
  readonly gplExcept?: HelperAudience;
  /** expected attach types at which no program has it, whatever its type; no attach type is number 0, the first */
  readonly notAttachedAs?: readonly AttachTypeName[];
  /** other arguments for some of the programs */
  readonly variants?: readonly { readonly audience: HelperAudience; readonly args: readonly ArgSpec[] }[];
  /** pointers into the packet may be passed for memory (the kernel's pkt_access) */
  readonly packetAccess?: true;
  /** may move the packet: pointers into it are void after the call. Kernel: bpf_helper_changes_pkt_data() */
  readonly changesPacket?: true;
  /** may sleep: for sleepable programs only (the kernel's might_sleep) */
  readonly sleepable?: true;
  /** the kernel has it only where this is in its configuration */
  readonly needs?: `CONFIG_${string}`;
  /** a kernel that is locked down as far, or further, does not give it to programs. Man page: kernel_lockdown(7) */
  readonly lockdown?: Lockdown;
}

/** How far a kernel is locked down: what would change it is refused, or what would read it, too. */
export type Lockdown = "integrity" | "confidentiality";

type Rest = Partial<
  Pick<
    HelperSpec,
    | "gplOnly"
    | "gplExcept"
    | "notAttachedAs"
    | "retType"
    | "variants"
    | "packetAccess"
    | "changesPacket"
    | "sleepable"
    | "needs"
    | "lockdown"
  >
>;

/** One helper; its name and home stay literal, so that those who implement it are checked to be complete. */
export function row<const Name extends string, const Home extends HelperHome>(
  id: number,
  name: Name,
  args: readonly ArgSpec[],
  ret: RetSpec,
  audience: HelperAudience,
  home: Home,
  rest: Rest = {},
): HelperSpec & { readonly name: Name; readonly home: Home } {
  return { id, name, args, ret, gplOnly: false, audience, home, since: helperSince(id)!, ...rest };
}

export const MAP: ArgSpec = { is: "constMapPtr" };
export const KEY: ArgSpec = { is: "mapKey" };
export const CTX: ArgSpec = { is: "ctx" };
export const CTX_OR_NULL: ArgSpec = { is: "ctx", maybeNull: true };
export const ANY32: ArgSpec = { is: "anything", bits: 32 };
export const ANY64: ArgSpec = { is: "anything", bits: 64 };
export const UNCHECKED64: ArgSpec = { is: "anything", bits: 64, unchecked: true };
export const MEM_IN: ArgSpec = { is: "mem", readOnly: true };
export const MEM_OUT: ArgSpec = { is: "mem", uninit: true };
export const MEM_WRITE: ArgSpec = { is: "mem", write: true };
export const SIZE: ArgSpec = { is: "constSize" };
export const SIZE0: ArgSpec = { is: "constSizeOrZero" };
export const ALLOC_SIZE0: ArgSpec = { is: "constAllocSizeOrZero" };
export const STR: ArgSpec = { is: "constStr" };
export const FUNC: ArgSpec = { is: "func" };
export const STACK0: ArgSpec = { is: "stackOrNull" };
export const SOCK_COMMON: ArgSpec = { is: "sockCommon" };
/** a socket of any kind, as a pointer with a kernel type or as one of the uapi structs */
export const BTF_SOCK: ArgSpec = { is: "btfIdSockCommon" };
/** a dynptr of any kind, which is itself not changed */
export const DYNPTR: ArgSpec = { is: "dynptr", dynptr: "any", readOnly: true };
export const btf = (type: string): ArgSpec => ({ is: "btfId", type });

/** Kernel: tracing_prog_func_proto(), bpf_lsm_func_proto(); syscall programs are given the same. */
export const BTF_TRACING = ["tracing", "lsm", "syscall"] as const;
/** Kernel: bpf_tracing_func_proto(). */
export const TRACING = [
  "kprobe",
  "tracepoint",
  "perf_event",
  "raw_tracepoint",
  "raw_tracepoint_writable",
  ...BTF_TRACING,
] as const;
/** Programs that a trampoline calls, with the arguments of the function they are attached to. */
export const TRAMPOLINE = ["tracing/trace_fentry", "tracing/trace_fexit", "tracing/modify_return", "lsm"] as const;
export const TC = ["sched_cls", "sched_act"] as const;
export const LWT = ["lwt_in", "lwt_out", "lwt_xmit", "lwt_seg6local"] as const;
/** The hooks of an address whose return value tells the system call what to do. */
export const SOCK_ADDR_SENDING = [
  "cgroup_sock_addr/cgroup_inet4_bind",
  "cgroup_sock_addr/cgroup_inet6_bind",
  "cgroup_sock_addr/cgroup_inet4_connect",
  "cgroup_sock_addr/cgroup_inet6_connect",
  "cgroup_sock_addr/cgroup_udp4_sendmsg",
  "cgroup_sock_addr/cgroup_udp6_sendmsg",
  "cgroup_sock_addr/cgroup_unix_connect",
  "cgroup_sock_addr/cgroup_unix_sendmsg",
] as const;
/** Programs that name the socket of an option by a pointer with a kernel type. */
export const BTF_SOCKETS = [
  "cgroup_sockopt/cgroup_setsockopt",
  "tracing/trace_iter",
  "lsm/lsm_cgroup",
  "struct_ops",
] as const;
