/**
 * Program types: ctx, attach types, return ranges, what test-run takes, whether the runtime runs them. SEC names are in
 * sections.ts. Source: include/uapi/linux/bpf.h (ids), kernel/bpf/syscall.c bpf_prog_load_check_attach(),
 * kernel/bpf/verifier.c check_return_code() (ranges), may_access_direct_pkt_data(), net/bpf/test_run.c.
 */
import type { CtxName } from "./ctx.ts";

/** Inclusive, of the signed 32-bit view of r0. */
export type ReturnRangeSpec = readonly [min: number, max: number];

export interface ProgramTypeSpec {
  /** number in uapi; bpfjit's own types are negative */
  readonly id: number;
  readonly name: string;
  /** null: bpfjit cannot judge or run this type yet */
  readonly ctx: CtxName | null;
  /** the context lies in memory as programs see it, so it may be given to functions as memory (no convert_ctx_access) */
  readonly plainCtx?: true;
  /** bpfjit runs programs of this type; it may judge more types than it runs */
  readonly runs: boolean;
  /** what r0 must be at exit, null: any scalar */
  readonly returns: ReturnRangeSpec | null;
  /** what r0 must be where the expected attach type (a name of sections.ts) says otherwise */
  readonly returnsAs?: Readonly<Record<string, ReturnRangeSpec>>;
  /** expected attach types that a load may have; absent: the kernel does not look */
  readonly attachTypes?: readonly string[];
  /** what an absent attach type (number 0) is taken for; absent: what number 0 is */
  readonly attachDefault?: "cgroup_inet_ingress" | "cgroup_inet_sock_create" | "sk_reuseport_select";
  readonly testRun: { readonly data: boolean; readonly ctx: boolean } | null;
  /** packet pointers may be given to helpers that take them (packetAccess); "always": to any */
  readonly packetRead: boolean | "always";
  /** packet pointers may be written through */
  readonly packetWrite: boolean;
  /** LD_ABS and LD_IND */
  readonly legacyPacketAccess: boolean;
  /** programs may be loaded as sleepable; "only": must be */
  readonly sleepable: boolean | "only";
  readonly since: string;
}

const row = <const Name extends string>(
  id: number,
  name: Name,
  since: string,
  ctx: CtxName | null,
  rest: Partial<Omit<ProgramTypeSpec, "id" | "name" | "since" | "ctx">> = {},
): ProgramTypeSpec & { readonly name: Name } => ({
  id,
  name,
  ctx,
  runs: false,
  returns: null,
  testRun: null,
  packetRead: false,
  packetWrite: false,
  legacyPacketAccess: false,
  sleepable: false,
  since,
  ...rest,
});

const READS = { packetRead: true } as const;
const WRITES = { packetRead: true, packetWrite: true } as const;
const DATA_AND_CTX = { data: true, ctx: true } as const;
/** Deny or allow. */
const VERDICT: ReturnRangeSpec = [0, 1];
const ALLOW_ONLY: ReturnRangeSpec = [1, 1];
const BIND: ReturnRangeSpec = [0, 3];

export const PROGRAM_TYPES = [
  row(-1, "raw", "bpfjit", "raw", { runs: true }),
  row(1, "socket_filter", "3.19", "socket_filter", {
    runs: true,
    testRun: DATA_AND_CTX,
    legacyPacketAccess: true,
  }),
  row(2, "kprobe", "4.1", "pt_regs", {
    plainCtx: true,
    runs: true,
    returnsAs: { trace_kprobe_session: VERDICT, trace_uprobe_session: VERDICT },
    sleepable: true,
  }),
  row(3, "sched_cls", "4.1", "sched_cls", { runs: true, testRun: DATA_AND_CTX, ...WRITES, legacyPacketAccess: true }),
  row(4, "sched_act", "4.1", "sched_cls", { ...WRITES, legacyPacketAccess: true }),
  row(5, "tracepoint", "4.7", "tracepoint", { plainCtx: true, runs: true }),
  row(6, "xdp", "4.8", "xdp_md", { runs: true, testRun: DATA_AND_CTX, ...WRITES }),
  row(7, "perf_event", "4.9", "bpf_perf_event_data", { runs: true }),
  row(8, "cgroup_skb", "4.10", "cgroup_skb", {
    returns: VERDICT,
    returnsAs: { cgroup_inet_egress: [0, 3] },
    attachTypes: ["cgroup_inet_ingress", "cgroup_inet_egress"],
    attachDefault: "cgroup_inet_ingress",
    ...READS,
  }),
  row(9, "cgroup_sock", "4.10", "bpf_sock", {
    returns: VERDICT,
    attachTypes: [
      "cgroup_inet_sock_create",
      "cgroup_inet_sock_release",
      "cgroup_inet4_post_bind",
      "cgroup_inet6_post_bind",
    ],
    attachDefault: "cgroup_inet_sock_create",
  }),
  row(10, "lwt_in", "4.10", "lwt", READS),
  row(11, "lwt_out", "4.10", "lwt", READS),
  row(12, "lwt_xmit", "4.10", "lwt", WRITES),
  row(13, "sock_ops", "4.13", "bpf_sock_ops", { returns: VERDICT }),
  row(14, "sk_skb", "4.14", "sk_skb", WRITES),
  row(15, "cgroup_device", "4.15", "bpf_cgroup_dev_ctx", { plainCtx: true, returns: VERDICT }),
  row(16, "sk_msg", "4.17", "sk_msg_md", WRITES),
  row(17, "raw_tracepoint", "4.17", "bpf_raw_tracepoint_args", {
    plainCtx: true,
    runs: true,
    testRun: { data: false, ctx: true },
  }),
  row(18, "cgroup_sock_addr", "4.17", "bpf_sock_addr", {
    returns: VERDICT,
    returnsAs: {
      cgroup_inet4_bind: BIND,
      cgroup_inet6_bind: BIND,
      cgroup_udp4_recvmsg: ALLOW_ONLY,
      cgroup_udp6_recvmsg: ALLOW_ONLY,
      cgroup_unix_recvmsg: ALLOW_ONLY,
      cgroup_inet4_getpeername: ALLOW_ONLY,
      cgroup_inet6_getpeername: ALLOW_ONLY,
      cgroup_unix_getpeername: ALLOW_ONLY,
      cgroup_inet4_getsockname: ALLOW_ONLY,
      cgroup_inet6_getsockname: ALLOW_ONLY,
      cgroup_unix_getsockname: ALLOW_ONLY,
    },
    attachTypes: [
      "cgroup_inet4_bind",
      "cgroup_inet6_bind",
      "cgroup_inet4_connect",
      "cgroup_inet6_connect",
      "cgroup_unix_connect",
      "cgroup_udp4_sendmsg",
      "cgroup_udp6_sendmsg",
      "cgroup_unix_sendmsg",
      "cgroup_udp4_recvmsg",
      "cgroup_udp6_recvmsg",
      "cgroup_unix_recvmsg",
      "cgroup_inet4_getpeername",
      "cgroup_inet6_getpeername",
      "cgroup_unix_getpeername",
      "cgroup_inet4_getsockname",
      "cgroup_inet6_getsockname",
      "cgroup_unix_getsockname",
    ],
  }),
  row(19, "lwt_seg6local", "4.18", "lwt", READS),
  row(20, "lirc_mode2", "4.18", "lirc_mode2"),
  row(21, "sk_reuseport", "4.19", "sk_reuseport_md", {
    attachTypes: ["sk_reuseport_select", "sk_reuseport_select_or_migrate"],
    attachDefault: "sk_reuseport_select",
    ...READS,
  }),
  row(22, "flow_dissector", "4.20", "flow_dissector", READS),
  row(23, "cgroup_sysctl", "5.2", "bpf_sysctl", { returns: VERDICT }),
  row(24, "raw_tracepoint_writable", "5.2", "raw_tracepoint_writable", { plainCtx: true, runs: true }),
  row(25, "cgroup_sockopt", "5.3", "bpf_sockopt", {
    returns: VERDICT,
    attachTypes: ["cgroup_getsockopt", "cgroup_setsockopt"],
    packetRead: "always",
    packetWrite: true,
  }),
  row(26, "tracing", "5.5", "function_args", {
    plainCtx: true,
    runs: true,
    returnsAs: { trace_fentry: [0, 0], trace_fexit: [0, 0], trace_iter: VERDICT },
    sleepable: true,
  }),
  row(27, "struct_ops", "5.6", "function_args", { plainCtx: true, sleepable: true }),
  row(28, "ext", "5.6", null),
  row(29, "lsm", "5.7", "function_args", { plainCtx: true, sleepable: true }),
  row(30, "sk_lookup", "5.9", "bpf_sk_lookup", { returns: VERDICT, attachTypes: ["sk_lookup"] }),
  row(31, "syscall", "5.14", "syscall", {
    plainCtx: true,
    attachTypes: ["cgroup_inet_ingress"],
    attachDefault: "cgroup_inet_ingress",
    sleepable: "only",
  }),
  row(32, "netfilter", "6.4", "bpf_nf_ctx", { plainCtx: true, returns: VERDICT, attachTypes: ["netfilter"] }),
];

export type ProgramTypeName = (typeof PROGRAM_TYPES)[number]["name"];
type NamedProgramType = ProgramTypeSpec & { readonly name: ProgramTypeName };
const BY_NAME = new Map<string, NamedProgramType>(PROGRAM_TYPES.map((spec) => [spec.name, spec]));

export function programType(name: ProgramTypeName): NamedProgramType {
  return BY_NAME.get(name)!;
}
export const programTypeByName = (name: string): NamedProgramType | undefined => BY_NAME.get(name);
