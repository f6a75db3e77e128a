/**
 * struct __sk_buff: which of its fields each type of program may read and write.
 * Source: include/uapi/linux/bpf.h; net/core/filter.c, bpf_skb_is_valid_access() and the is_valid_access() of each type.
 */
import { type CtxField, type CtxSpec, pointer, scalar, whole, words } from "./field.ts";

const CB = ["cb0", "cb1", "cb2", "cb3", "cb4"];

const FIELDS: readonly CtxField[] = [
  scalar("len", 0),
  scalar("pkt_type", 4),
  scalar("mark", 8),
  scalar("queue_mapping", 12),
  scalar("protocol", 16),
  scalar("vlan_present", 20),
  scalar("vlan_tci", 24),
  scalar("vlan_proto", 28),
  scalar("priority", 32),
  scalar("ingress_ifindex", 36),
  scalar("ifindex", 40),
  scalar("tc_index", 44),
  ...words("cb", 48, 5, { anySize: true }),
  scalar("hash", 68),
  scalar("tc_classid", 72),
  pointer("data", 76, "packet"),
  pointer("data_end", 80, "packetEnd"),
  scalar("napi_id", 84),
  scalar("family", 88),
  whole("remote_ip4", 92),
  whole("local_ip4", 96),
  ...words("remote_ip6", 100, 4, { narrow: false }),
  ...words("local_ip6", 116, 4, { narrow: false }),
  scalar("remote_port", 132),
  scalar("local_port", 136),
  pointer("data_meta", 140, "packetMeta"),
  pointer("flow_keys", 144, "flowKeys", 8),
  whole("tstamp", 152, 8),
  scalar("wire_len", 160),
  scalar("gso_segs", 164),
  pointer("sk", 168, "sockCommonOrNull", 8),
  scalar("gso_size", 176),
  scalar("tstamp_type", 180, 1),
  whole("hwtstamp", 184, 8),
];

const SOCKET_FIELDS = ["family", "remote_ip4", "local_ip4", "remote_ip6", "local_ip6", "remote_port", "local_port"];

/** All fields but `refused` and those that no program of a socket sees; `remote_ip6` stands for all its words. */
function layout(refused: readonly string[], written: readonly string[]): CtxSpec & { readonly size: number } {
  const isIn = (names: readonly string[], { name }: CtxField): boolean =>
    names.includes(name) || names.includes(name.replace(/\d$/, ""));
  const fields = FIELDS.filter((field) => !isIn(refused, field)).map((field) => ({
    ...field,
    write: isIn(written, field),
  }));
  return { name: "__sk_buff", size: 192, fields, open: null };
}

const PACKET = ["data", "data_end"];

/** Kernel: sk_filter_is_valid_access(). */
export const SOCKET_FILTER = layout(
  [
    ...["tc_classid", "data_meta", "flow_keys", "tstamp", "tstamp_type", "wire_len", "hwtstamp"],
    ...PACKET,
    ...SOCKET_FIELDS,
  ],
  CB,
);
/** Kernel: tc_cls_act_is_valid_access(). */
export const SCHED_CLS = layout(
  ["flow_keys", ...SOCKET_FIELDS],
  ["mark", "tc_index", "priority", "tc_classid", "tstamp", "queue_mapping", ...CB],
);
/** Kernel: cg_skb_is_valid_access(). */
export const CGROUP_SKB = layout(
  ["tc_classid", "data_meta", "flow_keys", "tstamp_type", "wire_len"],
  ["mark", "priority", "tstamp", ...CB],
);
/** Kernel: lwt_is_valid_access(). */
export const LWT = layout(
  ["tc_classid", "data_meta", "flow_keys", "tstamp", "tstamp_type", "wire_len", "hwtstamp", ...SOCKET_FIELDS],
  ["mark", "priority", ...CB],
);
/** Kernel: sk_skb_is_valid_access(). */
export const SK_SKB = layout(
  ["mark", "tc_classid", "data_meta", "flow_keys", "tstamp", "tstamp_type", "wire_len", "hwtstamp"],
  ["tc_index", "priority"],
);
/** Kernel: flow_dissector_is_valid_access(). */
export const FLOW_DISSECTOR = {
  ...layout([], []),
  fields: FIELDS.filter(({ name }) => [...PACKET, "flow_keys"].includes(name)),
} as const satisfies CtxSpec;
