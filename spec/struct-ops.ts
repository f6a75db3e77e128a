/**
 * Structures of functions that programs can fill (struct_ops): which members, what their arguments are beyond BTF, which
 * kernel memory they may write. A structure that is no row here cannot be judged.
 * Source: net/ipv4/bpf_tcp_ca.c, net/bpf/bpf_dummy_struct_ops.c; asked of Linux 6.18.
 */
import type { StructWrites } from "./struct-writes.ts";

export interface StructOpsSpec {
  readonly name: string;
  /** function members that no program may fill */
  readonly unsupportedMembers: readonly string[];
  /** members whose programs may sleep */
  readonly sleepable: "all" | readonly string[];
  /** by member: arguments that may be null (from 0), as the names of the kernel's stub say */
  readonly maybeNull: Readonly<Record<string, readonly number[]>>;
  /** arguments of the one type are known to be of the other, that begins with it */
  readonly promotes: { readonly from: string; readonly to: string } | null;
  readonly writes: StructWrites;
  /** helpers of no kind can be called */
  readonly noHelpers?: true;
}

const STRUCT_OPS: readonly StructOpsSpec[] = [
  {
    name: "tcp_congestion_ops",
    unsupportedMembers: ["get_info"],
    sleepable: "all",
    maybeNull: {},
    promotes: { from: "sock", to: "tcp_sock" },
    writes: {
      struct: "tcp_sock",
      fields: [
        { in: "sock", path: "sk_pacing_rate" },
        { in: "sock", path: "sk_pacing_status" },
        { in: "inet_connection_sock", path: "icsk_ca_priv", part: true },
        { in: "inet_connection_sock", path: "icsk_ack.pending" },
        { in: "tcp_sock", path: "snd_cwnd" },
        { in: "tcp_sock", path: "snd_cwnd_cnt" },
        { in: "tcp_sock", path: "snd_cwnd_stamp" },
        { in: "tcp_sock", path: "snd_ssthresh" },
        { in: "tcp_sock", path: "ecn_flags" },
        { in: "tcp_sock", path: "app_limited" },
      ],
      otherwise: "only read is supported",
    },
  },
  {
    name: "bpf_dummy_ops",
    unsupportedMembers: [],
    sleepable: ["test_sleepable"],
    maybeNull: { test_1: [0] },
    promotes: null,
    writes: { struct: "bpf_dummy_ops_state", otherwise: "only access to bpf_dummy_ops_state is supported" },
    noHelpers: true,
  },
];

const BY_NAME = new Map(STRUCT_OPS.map((spec) => [spec.name, spec]));
/** By the kernel's struct. */
/** How the kernel calls the type of the value of a map that holds such a structure. */
export const STRUCT_OPS_VALUE_PREFIX = "bpf_struct_ops_";

export const structOpsByName = (name: string): StructOpsSpec | undefined => BY_NAME.get(name);
