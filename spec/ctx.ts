/**
 * Context layouts: what r1 points to, as the uapi structs lay it out in the arena. The verifier checks accesses against
 * it, the lowering makes pointers of the fields that hold them, the runtime fills it. Offsets and sizes in bytes.
 * Source: include/uapi/linux/bpf.h; each type's is_valid_access() in net/core/filter.c, kernel/trace/bpf_trace.c.
 */

/** What a load of the field yields. Pointers are 32-bit arena addresses in the struct and become tagged 64-bit pointers. */
export type CtxFieldKind = "scalar" | "packet" | "packetMeta" | "packetEnd" | "socketOrNull" | "flowKeys" | "pointer";

export interface CtxField {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly kind: CtxFieldKind;
  readonly write: boolean;
  /** narrower loads than `size` are allowed (and, `wide`, 8-byte loads over two 4-byte fields) */
  readonly narrow: boolean;
  /** accesses of any size, aligned to it, also over several such fields (the cb array) */
  readonly anySize?: true;
  /** only for programs of these attach types */
  readonly attachTypes?: readonly string[];
}

export interface CtxSpec {
  readonly name: string;
  /** bytes; null where the length is the event's own (tracepoints, raw tracepoints) */
  readonly size: number | null;
  readonly fields: readonly CtxField[];
  /**
   * What holds for bytes outside the listed fields: refuse; `readable(from, to)`: plain scalar loads of any size aligned to
   * their size inside [from, to); the kernel gives tracepoint programs bytes 8 … 8192 in this way (PERF_MAX_TRACE_SIZE).
   */
  readonly open: { readonly from: number; readonly to: number; readonly write: boolean } | null;
}

const scalar = (name: string, offset: number, size = 4, write = false): CtxField => ({
  name,
  offset,
  size,
  kind: "scalar",
  write,
  narrow: true,
});
const pointer = (name: string, offset: number, kind: CtxFieldKind, size = 4): CtxField => ({
  name,
  offset,
  size,
  kind,
  write: false,
  narrow: false,
});

const SK_BUFF_FIELDS = [
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
  { ...scalar("cb0", 48), anySize: true },
  { ...scalar("cb1", 52), anySize: true },
  { ...scalar("cb2", 56), anySize: true },
  { ...scalar("cb3", 60), anySize: true },
  { ...scalar("cb4", 64), anySize: true },
  scalar("hash", 68),
  scalar("tc_classid", 72),
  pointer("data", 76, "packet"),
  pointer("data_end", 80, "packetEnd"),
  scalar("napi_id", 84),
  scalar("family", 88),
  scalar("remote_ip4", 92),
  scalar("local_ip4", 96),
  scalar("remote_ip6", 100, 16),
  scalar("local_ip6", 116, 16),
  scalar("remote_port", 132),
  scalar("local_port", 136),
  pointer("data_meta", 140, "packetMeta"),
  pointer("flow_keys", 144, "flowKeys", 8),
  { ...scalar("tstamp", 152, 8), narrow: false },
  scalar("wire_len", 160),
  scalar("gso_segs", 164),
  pointer("sk", 168, "socketOrNull", 8),
  scalar("gso_size", 176),
  scalar("tstamp_type", 180, 1),
  { ...scalar("hwtstamp", 184, 8), narrow: false },
] as const satisfies readonly CtxField[];

const only = (allowed: readonly string[], writable: readonly string[] = []): readonly CtxField[] =>
  SK_BUFF_FIELDS.filter((field) => allowed.includes(field.name)).map((field) => ({
    ...field,
    write: writable.includes(field.name),
  }));

const CB = ["cb0", "cb1", "cb2", "cb3", "cb4"];
/** Kernel: sk_filter_is_valid_access() refuses what is not here. */
const SOCKET_FILTER_NAMES = [
  ...["len", "pkt_type", "mark", "queue_mapping", "protocol", "vlan_present", "vlan_tci", "vlan_proto", "priority"],
  ...["ingress_ifindex", "ifindex", "tc_index", "hash", "napi_id", "gso_segs", "gso_size", "sk"],
  ...CB,
];
/** Kernel: tc_cls_act_is_valid_access(). */
const SCHED_CLS_NAMES = SK_BUFF_FIELDS.map((field) => field.name).filter(
  (name) =>
    ![
      "family",
      "remote_ip4",
      "local_ip4",
      "remote_ip6",
      "local_ip6",
      "remote_port",
      "local_port",
      "flow_keys",
    ].includes(name),
);

export const CTX = {
  tracepoint: { name: "tracepoint", size: null, fields: [], open: { from: 8, to: 8192, write: false } },
  bpf_raw_tracepoint_args: {
    name: "bpf_raw_tracepoint_args",
    size: null,
    fields: [],
    open: { from: 0, to: 96, write: false },
  },
  xdp_md: {
    name: "xdp_md",
    size: 24,
    fields: [
      pointer("data", 0, "packet"),
      pointer("data_end", 4, "packetEnd"),
      pointer("data_meta", 8, "packetMeta"),
      { ...scalar("ingress_ifindex", 12), narrow: false },
      { ...scalar("rx_queue_index", 16), narrow: false },
      { ...scalar("egress_ifindex", 20), narrow: false, attachTypes: ["xdp_devmap"] },
    ],
    open: null,
  },
  socket_filter: { name: "__sk_buff", size: 192, fields: only(SOCKET_FILTER_NAMES, CB), open: null },
  sched_cls: {
    name: "__sk_buff",
    size: 192,
    fields: only(SCHED_CLS_NAMES, ["mark", "tc_index", "priority", "tc_classid", "tstamp", "queue_mapping", ...CB]),
    open: null,
  },
  /** bpfjit's own: r1 is plain memory, not a ctx (design, section 9: exec) */
  raw: { name: "raw", size: null, fields: [], open: null },
} as const satisfies Record<string, CtxSpec>;

export type CtxName = keyof typeof CTX;
