/**
 * SEC names: which program type, attach type and rules a section name stands for. Source: libbpf 1.5, section_defs[].
 * usdt programs get the attach type that libbpf gives them at load where the kernel knows it.
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
  /** the program can take packets in fragments (BPF_F_XDP_HAS_FRAGS) */
  readonly xdpFrags: boolean;
}

const row = (
  prefix: string,
  type: ProgramTypeName,
  attachType: AttachTypeName | null,
  target: SectionSpec["target"],
  flags: Partial<Pick<SectionSpec, "sleepable" | "attachBtf" | "attachTypeOptional" | "xdpFrags">> = {},
): SectionSpec => ({
  prefix,
  type,
  attachType,
  target,
  sleepable: false,
  attachBtf: false,
  attachTypeOptional: false,
  xdpFrags: false,
  ...flags,
});

/** In libbpf's order: the first row that matches counts. */
export const SECTIONS: readonly SectionSpec[] = [
  row("socket", "socket_filter", null, "none"),
  row("sk_reuseport/migrate", "sk_reuseport", "sk_reuseport_select_or_migrate", "none"),
  row("sk_reuseport", "sk_reuseport", "sk_reuseport_select", "none"),
  row("kprobe", "kprobe", null, "optional"),
  row("uprobe", "kprobe", null, "optional"),
  row("uprobe.s", "kprobe", null, "optional", { sleepable: true }),
  row("kretprobe", "kprobe", null, "optional"),
  row("uretprobe", "kprobe", null, "optional"),
  row("uretprobe.s", "kprobe", null, "optional", { sleepable: true }),
  row("kprobe.multi", "kprobe", "trace_kprobe_multi", "optional"),
  row("kretprobe.multi", "kprobe", "trace_kprobe_multi", "optional"),
  row("kprobe.session", "kprobe", "trace_kprobe_session", "optional"),
  row("uprobe.multi", "kprobe", "trace_uprobe_multi", "optional"),
  row("uretprobe.multi", "kprobe", "trace_uprobe_multi", "optional"),
  row("uprobe.session", "kprobe", "trace_uprobe_session", "optional"),
  row("uprobe.multi.s", "kprobe", "trace_uprobe_multi", "optional", { sleepable: true }),
  row("uretprobe.multi.s", "kprobe", "trace_uprobe_multi", "optional", { sleepable: true }),
  row("uprobe.session.s", "kprobe", "trace_uprobe_session", "optional", { sleepable: true }),
  row("ksyscall", "kprobe", null, "optional"),
  row("kretsyscall", "kprobe", null, "optional"),
  row("usdt", "kprobe", "trace_uprobe_multi", "optional"),
  row("usdt.s", "kprobe", "trace_uprobe_multi", "optional", { sleepable: true }),
  row("tc/ingress", "sched_cls", "tcx_ingress", "none"),
  row("tc/egress", "sched_cls", "tcx_egress", "none"),
  row("tcx/ingress", "sched_cls", "tcx_ingress", "none"),
  row("tcx/egress", "sched_cls", "tcx_egress", "none"),
  row("tc", "sched_cls", null, "none"),
  row("classifier", "sched_cls", null, "none"),
  row("action", "sched_act", null, "none"),
  row("netkit/primary", "sched_cls", "netkit_primary", "none"),
  row("netkit/peer", "sched_cls", "netkit_peer", "none"),
  row("tracepoint", "tracepoint", null, "optional"),
  row("tp", "tracepoint", null, "optional"),
  row("raw_tracepoint", "raw_tracepoint", null, "optional"),
  row("raw_tp", "raw_tracepoint", null, "optional"),
  row("raw_tracepoint.w", "raw_tracepoint_writable", null, "optional"),
  row("raw_tp.w", "raw_tracepoint_writable", null, "optional"),
  row("tp_btf", "tracing", "trace_raw_tp", "optional", { attachBtf: true }),
  row("fentry", "tracing", "trace_fentry", "optional", { attachBtf: true }),
  row("fmod_ret", "tracing", "modify_return", "optional", { attachBtf: true }),
  row("fexit", "tracing", "trace_fexit", "optional", { attachBtf: true }),
  row("fentry.s", "tracing", "trace_fentry", "optional", { sleepable: true, attachBtf: true }),
  row("fmod_ret.s", "tracing", "modify_return", "optional", { sleepable: true, attachBtf: true }),
  row("fexit.s", "tracing", "trace_fexit", "optional", { sleepable: true, attachBtf: true }),
  row("freplace", "ext", null, "optional", { attachBtf: true }),
  row("lsm", "lsm", "lsm_mac", "optional", { attachBtf: true }),
  row("lsm.s", "lsm", "lsm_mac", "optional", { sleepable: true, attachBtf: true }),
  row("lsm_cgroup", "lsm", "lsm_cgroup", "optional", { attachBtf: true }),
  row("iter", "tracing", "trace_iter", "optional", { attachBtf: true }),
  row("iter.s", "tracing", "trace_iter", "optional", { sleepable: true, attachBtf: true }),
  row("syscall", "syscall", null, "none", { sleepable: true }),
  row("xdp.frags/devmap", "xdp", "xdp_devmap", "none", { xdpFrags: true }),
  row("xdp/devmap", "xdp", "xdp_devmap", "none"),
  row("xdp.frags/cpumap", "xdp", "xdp_cpumap", "none", { xdpFrags: true }),
  row("xdp/cpumap", "xdp", "xdp_cpumap", "none"),
  row("xdp.frags", "xdp", "xdp", "none", { xdpFrags: true }),
  row("xdp", "xdp", "xdp", "none", { attachTypeOptional: true }),
  row("perf_event", "perf_event", null, "none"),
  row("lwt_in", "lwt_in", null, "none"),
  row("lwt_out", "lwt_out", null, "none"),
  row("lwt_xmit", "lwt_xmit", null, "none"),
  row("lwt_seg6local", "lwt_seg6local", null, "none"),
  row("sockops", "sock_ops", "cgroup_sock_ops", "none", { attachTypeOptional: true }),
  row("sk_skb/stream_parser", "sk_skb", "sk_skb_stream_parser", "none", { attachTypeOptional: true }),
  row("sk_skb/stream_verdict", "sk_skb", "sk_skb_stream_verdict", "none", { attachTypeOptional: true }),
  row("sk_skb/verdict", "sk_skb", "sk_skb_verdict", "none", { attachTypeOptional: true }),
  row("sk_skb", "sk_skb", null, "none"),
  row("sk_msg", "sk_msg", "sk_msg_verdict", "none", { attachTypeOptional: true }),
  row("lirc_mode2", "lirc_mode2", "lirc_mode2", "none", { attachTypeOptional: true }),
  row("flow_dissector", "flow_dissector", "flow_dissector", "none", { attachTypeOptional: true }),
  row("cgroup_skb/ingress", "cgroup_skb", "cgroup_inet_ingress", "none", { attachTypeOptional: true }),
  row("cgroup_skb/egress", "cgroup_skb", "cgroup_inet_egress", "none", { attachTypeOptional: true }),
  row("cgroup/skb", "cgroup_skb", null, "none"),
  row("cgroup/sock_create", "cgroup_sock", "cgroup_inet_sock_create", "none"),
  row("cgroup/sock_release", "cgroup_sock", "cgroup_inet_sock_release", "none"),
  row("cgroup/sock", "cgroup_sock", "cgroup_inet_sock_create", "none", { attachTypeOptional: true }),
  row("cgroup/post_bind4", "cgroup_sock", "cgroup_inet4_post_bind", "none"),
  row("cgroup/post_bind6", "cgroup_sock", "cgroup_inet6_post_bind", "none"),
  row("cgroup/bind4", "cgroup_sock_addr", "cgroup_inet4_bind", "none"),
  row("cgroup/bind6", "cgroup_sock_addr", "cgroup_inet6_bind", "none"),
  row("cgroup/connect4", "cgroup_sock_addr", "cgroup_inet4_connect", "none"),
  row("cgroup/connect6", "cgroup_sock_addr", "cgroup_inet6_connect", "none"),
  row("cgroup/connect_unix", "cgroup_sock_addr", "cgroup_unix_connect", "none"),
  row("cgroup/sendmsg4", "cgroup_sock_addr", "cgroup_udp4_sendmsg", "none"),
  row("cgroup/sendmsg6", "cgroup_sock_addr", "cgroup_udp6_sendmsg", "none"),
  row("cgroup/sendmsg_unix", "cgroup_sock_addr", "cgroup_unix_sendmsg", "none"),
  row("cgroup/recvmsg4", "cgroup_sock_addr", "cgroup_udp4_recvmsg", "none"),
  row("cgroup/recvmsg6", "cgroup_sock_addr", "cgroup_udp6_recvmsg", "none"),
  row("cgroup/recvmsg_unix", "cgroup_sock_addr", "cgroup_unix_recvmsg", "none"),
  row("cgroup/getpeername4", "cgroup_sock_addr", "cgroup_inet4_getpeername", "none"),
  row("cgroup/getpeername6", "cgroup_sock_addr", "cgroup_inet6_getpeername", "none"),
  row("cgroup/getpeername_unix", "cgroup_sock_addr", "cgroup_unix_getpeername", "none"),
  row("cgroup/getsockname4", "cgroup_sock_addr", "cgroup_inet4_getsockname", "none"),
  row("cgroup/getsockname6", "cgroup_sock_addr", "cgroup_inet6_getsockname", "none"),
  row("cgroup/getsockname_unix", "cgroup_sock_addr", "cgroup_unix_getsockname", "none"),
  row("cgroup/sysctl", "cgroup_sysctl", "cgroup_sysctl", "none"),
  row("cgroup/getsockopt", "cgroup_sockopt", "cgroup_getsockopt", "none"),
  row("cgroup/setsockopt", "cgroup_sockopt", "cgroup_setsockopt", "none"),
  row("cgroup/dev", "cgroup_device", "cgroup_device", "none", { attachTypeOptional: true }),
  row("struct_ops", "struct_ops", null, "optional"),
  row("struct_ops.s", "struct_ops", null, "optional", { sleepable: true }),
  row("sk_lookup", "sk_lookup", "sk_lookup", "none"),
  row("netfilter", "netfilter", "netfilter", "none"),
];

/** The row that a SEC name (without a leading `?`) matches, null where libbpf does not know it. */
export function findSection(name: string): SectionSpec | null {
  return (
    SECTIONS.find(({ prefix, target }) => {
      if (!name.startsWith(prefix)) return false;
      if (name.length === prefix.length) return target !== "required";
      return target !== "none" && name[prefix.length] === "/";
    }) ?? null
  );
}

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

/** The kernel that brought each attach type; numbers only ever grow: from this version on, those up to that one. */
const ATTACH_SINCE: readonly (readonly [version: string, last: AttachTypeName])[] = [
  ["4.10", "cgroup_inet_sock_create"],
  ["4.13", "cgroup_sock_ops"],
  ["4.14", "sk_skb_stream_verdict"],
  ["4.15", "cgroup_device"],
  ["4.17", "cgroup_inet6_post_bind"],
  ["4.18", "lirc_mode2"],
  ["4.20", "flow_dissector"],
  ["5.2", "cgroup_udp6_recvmsg"],
  ["5.3", "cgroup_setsockopt"],
  ["5.5", "trace_fexit"],
  ["5.7", "lsm_mac"],
  ["5.8", "xdp_devmap"],
  ["5.9", "xdp"],
  ["5.13", "sk_skb_verdict"],
  ["5.14", "sk_reuseport_select_or_migrate"],
  ["5.15", "perf_event"],
  ["5.18", "trace_kprobe_multi"],
  ["6.0", "lsm_cgroup"],
  ["6.4", "netfilter"],
  ["6.6", "trace_uprobe_multi"],
  ["6.7", "netkit_peer"],
  ["6.10", "trace_kprobe_session"],
  ["6.13", "trace_uprobe_session"],
];

export function attachTypeSince(name: AttachTypeName): string {
  const number = ATTACH_TYPES.indexOf(name);
  return ATTACH_SINCE.find(([, last]) => number <= ATTACH_TYPES.indexOf(last))![0];
}
