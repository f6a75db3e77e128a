/**
 * Contexts of programs on sockets and of cgroup hooks, and the structs that pointers to sockets show.
 * Source: include/uapi/linux/bpf.h; the is_valid_access() of each type in net/core/filter.c, kernel/bpf/cgroup.c.
 */
import type { AttachTypeName } from "../sections.ts";
import { type CtxField, type CtxSpec, pointer, scalar, whole, words } from "./field.ts";

const START = { narrow: "start" } as const;
const CREATE: readonly AttachTypeName[] = ["cgroup_inet_sock_create", "cgroup_inet_sock_release"];

const SOCK_FIELDS: readonly CtxField[] = [
  whole("bound_dev_if", 0),
  { ...scalar("family", 4), ...START },
  { ...scalar("type", 8), ...START },
  { ...scalar("protocol", 12), ...START },
  whole("mark", 16),
  whole("priority", 20),
  scalar("src_ip4", 24),
  ...words("src_ip6", 28, 4),
  { ...scalar("src_port", 44), ...START },
  // Two bytes, but old programs read four.
  { ...scalar("dst_port", 48, 2), wide: 4 },
  scalar("dst_ip4", 52),
  ...words("dst_ip6", 56, 4),
  { ...scalar("state", 72), ...START },
  { ...scalar("rx_queue_mapping", 76), ...START },
];

/** What a pointer to a full socket shows. Kernel: bpf_sock_is_valid_access(). */
export const SOCK = { name: "bpf_sock", size: 80, fields: SOCK_FIELDS, open: null } as const satisfies CtxSpec;
/** What a pointer to any socket shows. Kernel: bpf_sock_common_is_valid_access(). */
export const SOCK_COMMON = {
  ...SOCK,
  fields: SOCK_FIELDS.filter(({ name }) => !["type", "protocol", "mark", "priority"].includes(name)),
} as const satisfies CtxSpec;
/** Kernel: bpf_tcp_sock_is_valid_access(). */
export const TCP_SOCK = {
  name: "bpf_tcp_sock",
  size: 112,
  fields: [
    ...words("words", 0, 20, { narrow: false }),
    whole("bytes_received", 80, 8),
    whole("bytes_acked", 88, 8),
    ...words("counters", 96, 4, { narrow: false }),
  ],
  open: null,
} as const satisfies CtxSpec;
/** Kernel: bpf_xdp_sock_is_valid_access(). */
export const XDP_SOCK = {
  name: "bpf_xdp_sock",
  size: 4,
  fields: [whole("queue_id", 0)],
  open: null,
} as const satisfies CtxSpec;

/** Kernel: sock_filter_is_valid_access(). */
function cgroupSockField(field: CtxField): CtxField {
  if (["bound_dev_if", "mark", "priority"].includes(field.name)) return { ...field, write: true, attachTypes: CREATE };
  if (field.name === "src_ip4") return { ...field, attachTypes: ["cgroup_inet4_post_bind"] };
  if (field.name.startsWith("src_ip6")) return { ...field, attachTypes: ["cgroup_inet6_post_bind"] };
  if (field.name === "src_port") return { ...field, attachTypes: ["cgroup_inet4_post_bind", "cgroup_inet6_post_bind"] };
  return field;
}
export const CGROUP_SOCK = { ...SOCK, fields: SOCK_FIELDS.map(cgroupSockField) } as const satisfies CtxSpec;

const INET4: readonly AttachTypeName[] = [
  "cgroup_inet4_bind",
  "cgroup_inet4_connect",
  "cgroup_inet4_getpeername",
  "cgroup_inet4_getsockname",
  "cgroup_udp4_sendmsg",
  "cgroup_udp4_recvmsg",
];
const INET6: readonly AttachTypeName[] = [
  "cgroup_inet6_bind",
  "cgroup_inet6_connect",
  "cgroup_inet6_getpeername",
  "cgroup_inet6_getsockname",
  "cgroup_udp6_sendmsg",
  "cgroup_udp6_recvmsg",
];

/** Kernel: sock_addr_is_valid_access(). */
export const SOCK_ADDR = {
  name: "bpf_sock_addr",
  size: 72,
  fields: [
    whole("user_family", 0),
    { ...scalar("user_ip4", 4, 4, true), attachTypes: INET4 },
    ...wideWords("user_ip6", 8, INET6),
    scalar("user_port", 24, 4, true),
    whole("family", 28),
    whole("type", 32),
    whole("protocol", 36),
    { ...scalar("msg_src_ip4", 40, 4, true), attachTypes: ["cgroup_udp4_sendmsg"] },
    ...wideWords("msg_src_ip6", 44, ["cgroup_udp6_sendmsg"]),
    pointer("sk", 64, "socket", 8),
  ],
  open: null,
} as const satisfies CtxSpec;

/** The four words of an IPv6 address, of which two may be accessed at once. */
function wideWords(name: string, offset: number, attachTypes: readonly AttachTypeName[]): readonly CtxField[] {
  return words(name, offset, 4, { write: true, attachTypes }).map((field, index) =>
    index < 3 ? { ...field, wide: 8 } : field,
  );
}

/** Kernel: sock_ops_is_valid_access(). */
export const SOCK_OPS = {
  name: "bpf_sock_ops",
  size: 224,
  fields: [
    whole("op", 0),
    whole("reply", 4, 4, true),
    ...words("replylong", 8, 3, { narrow: false }),
    ...words("words", 20, 36, { narrow: false }),
    whole("sk_txhash", 164, 4, true),
    whole("bytes_received", 168, 8),
    whole("bytes_acked", 176, 8),
    pointer("sk", 184, "socketOrNull", 8),
    pointer("skb_data", 192, "packet", 8),
    pointer("skb_data_end", 200, "packetEnd", 8),
    whole("skb_len", 208),
    { ...scalar("skb_tcp_flags", 212), ...START },
    whole("skb_hwtstamp", 216, 8),
  ],
  open: null,
} as const satisfies CtxSpec;

/** Kernel: sk_msg_is_valid_access(). */
export const SK_MSG = {
  name: "sk_msg_md",
  size: 80,
  fields: [
    pointer("data", 0, "packet", 8),
    pointer("data_end", 8, "packetEnd", 8),
    whole("family", 16),
    whole("remote_ip4", 20),
    whole("local_ip4", 24),
    ...words("remote_ip6", 28, 4, { narrow: false }),
    ...words("local_ip6", 44, 4, { narrow: false }),
    whole("remote_port", 60),
    whole("local_port", 64),
    whole("size", 68),
    pointer("sk", 72, "socket", 8),
  ],
  open: null,
} as const satisfies CtxSpec;

/** Kernel: sk_reuseport_is_valid_access(). */
export const SK_REUSEPORT = {
  name: "sk_reuseport_md",
  size: 56,
  fields: [
    pointer("data", 0, "packet", 8),
    pointer("data_end", 8, "packetEnd", 8),
    scalar("len", 16),
    { ...scalar("eth_protocol", 20), narrowest: 2 },
    scalar("ip_protocol", 24),
    scalar("bind_inany", 28),
    whole("hash", 32),
    pointer("sk", 40, "socket", 8),
    pointer("migrating_sk", 48, "sockCommonOrNull", 8),
  ],
  open: null,
} as const satisfies CtxSpec;

/** Kernel: sk_lookup_is_valid_access(). */
export const SK_LOOKUP = {
  name: "bpf_sk_lookup",
  size: 72,
  fields: [
    pointer("sk", 0, "socketOrNull", 8),
    scalar("family", 8),
    scalar("protocol", 12),
    scalar("remote_ip4", 16),
    ...words("remote_ip6", 20, 4),
    { ...scalar("remote_port", 36, 2), wide: 4 },
    scalar("remote_port_padding", 38, 2),
    scalar("local_ip4", 40),
    ...words("local_ip6", 44, 4),
    scalar("local_port", 60),
    scalar("ingress_ifindex", 64),
  ],
  open: null,
} as const satisfies CtxSpec;

/** Kernel: cgroup_dev_is_valid_access(). */
export const CGROUP_DEVICE = {
  name: "bpf_cgroup_dev_ctx",
  size: 12,
  fields: [scalar("access_type", 0), whole("major", 4), whole("minor", 8)],
  open: null,
} as const satisfies CtxSpec;

/** Kernel: sysctl_is_valid_access(). */
export const CGROUP_SYSCTL = {
  name: "bpf_sysctl",
  size: 8,
  fields: [scalar("write", 0), scalar("file_pos", 4, 4, true)],
  open: null,
} as const satisfies CtxSpec;

/** Kernel: cg_sockopt_is_valid_access(). */
export const CGROUP_SOCKOPT = {
  name: "bpf_sockopt",
  size: 40,
  fields: [
    pointer("sk", 0, "socket", 8),
    pointer("optval", 8, "packet", 8),
    pointer("optval_end", 16, "packetEnd", 8),
    { ...whole("level", 24, 4, true), writeTypes: ["cgroup_setsockopt"] },
    { ...whole("optname", 28, 4, true), writeTypes: ["cgroup_setsockopt"] },
    whole("optlen", 32, 4, true),
    { ...whole("retval", 36, 4, true), attachTypes: ["cgroup_getsockopt"] },
  ],
  open: null,
} as const satisfies CtxSpec;
