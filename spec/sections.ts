/**
 * SEC names: which program type, attach type and rules a section name stands for. Source: libbpf 1.5, section_defs[].
 * A row matches `prefix` exactly, or `prefix/…` where `target` is not "none".
 */
import type { ProgramTypeName } from "./program-types.ts";

export interface SectionSpec {
  readonly prefix: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | null;
  /** what may follow the prefix: nothing; something after a slash; something required */
  readonly target: "none" | "optional" | "required";
  readonly sleepable: boolean;
  /** attaches to a BTF id found by name */
  readonly attachBtf: boolean;
  /** expected_attach_type is dropped on kernels that do not know it */
  readonly attachTypeOptional: boolean;
}

const row = (
  prefix: string,
  type: ProgramTypeName,
  attachType: AttachTypeName | null,
  target: SectionSpec["target"],
  flags: Partial<Pick<SectionSpec, "sleepable" | "attachBtf" | "attachTypeOptional">> = {},
): SectionSpec => ({
  prefix,
  type,
  attachType,
  target,
  sleepable: false,
  attachBtf: false,
  attachTypeOptional: false,
  ...flags,
});

export const SECTIONS: readonly SectionSpec[] = [
  row("socket", "socket_filter", null, "none"),
  row("tracepoint", "tracepoint", null, "optional"),
  row("tp", "tracepoint", null, "optional"),
  row("raw_tracepoint", "raw_tracepoint", null, "optional"),
  row("raw_tp", "raw_tracepoint", null, "optional"),
  row("xdp", "xdp", "xdp", "none", { attachTypeOptional: true }),
  row("tc", "sched_cls", null, "none"),
  row("classifier", "sched_cls", null, "none"),
  row("tcx/ingress", "sched_cls", "tcx_ingress", "none"),
  row("tcx/egress", "sched_cls", "tcx_egress", "none"),
  row("tc/ingress", "sched_cls", "tcx_ingress", "none"),
  row("tc/egress", "sched_cls", "tcx_egress", "none"),
];

/** enum bpf_attach_type: index is the number. Source: include/uapi/linux/bpf.h (6.18), lower case without BPF_. */
export const ATTACH_TYPES = [
  "cgroup_inet_ingress",
  "cgroup_inet_egress",
  "cgroup_inet_sock_create",
  "cgroup_sock_ops",
  "sk_skb_stream_parser",
  "sk_skb_stream_verdict",
  "cgroup_device",
  "sk_msg_verdict",
  "cgroup_inet4_bind",
  "cgroup_inet6_bind",
  "cgroup_inet4_connect",
  "cgroup_inet6_connect",
  "cgroup_inet4_post_bind",
  "cgroup_inet6_post_bind",
  "cgroup_udp4_sendmsg",
  "cgroup_udp6_sendmsg",
  "lirc_mode2",
  "flow_dissector",
  "cgroup_sysctl",
  "cgroup_udp4_recvmsg",
  "cgroup_udp6_recvmsg",
  "cgroup_getsockopt",
  "cgroup_setsockopt",
  "trace_raw_tp",
  "trace_fentry",
  "trace_fexit",
  "modify_return",
  "lsm_mac",
  "trace_iter",
  "cgroup_inet4_getpeername",
  "cgroup_inet6_getpeername",
  "cgroup_inet4_getsockname",
  "cgroup_inet6_getsockname",
  "xdp_devmap",
  "cgroup_inet_sock_release",
  "xdp_cpumap",
  "sk_lookup",
  "xdp",
  "sk_skb_verdict",
  "sk_reuseport_select",
  "sk_reuseport_select_or_migrate",
  "perf_event",
  "trace_kprobe_multi",
  "lsm_cgroup",
  "struct_ops",
  "netfilter",
  "tcx_ingress",
  "tcx_egress",
  "trace_uprobe_multi",
  "cgroup_unix_connect",
  "cgroup_unix_sendmsg",
  "cgroup_unix_recvmsg",
  "cgroup_unix_getpeername",
  "cgroup_unix_getsockname",
  "netkit_primary",
  "netkit_peer",
  "trace_kprobe_session",
  "trace_uprobe_session",
] as const;
export type AttachTypeName = (typeof ATTACH_TYPES)[number];
