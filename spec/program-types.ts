/**
 * Program types: ctx, return range, what test-run takes, whether the runtime runs them. SEC names are in sections.ts.
 * Source: include/uapi/linux/bpf.h (ids), kernel/bpf/verifier.c check_return_code() (ranges), net/bpf/test_run.c.
 */
import type { CtxName } from "./ctx.ts";

export interface ProgramTypeSpec {
  /** number in uapi; bpfjit's own types are negative */
  readonly id: number;
  readonly name: string;
  /** null: bpfjit cannot judge or run this type yet */
  readonly ctx: CtxName | null;
  /** inclusive range that r0 must have at exit (signed 32-bit view), null: any scalar */
  readonly returns: readonly [number, number] | null;
  /** r0 must be set at exit; every type but none today */
  readonly testRun: { readonly data: boolean; readonly ctx: boolean } | null;
  /** packet pointers may be written through */
  readonly packetWrite: boolean;
  /** LD_ABS and LD_IND */
  readonly legacyPacketAccess: boolean;
  readonly since: string;
}

const unsupported = (id: number, name: string, since: string) =>
  ({
    id,
    name,
    ctx: null,
    returns: null,
    testRun: null,
    packetWrite: false,
    legacyPacketAccess: false,
    since,
  }) as const;

export const PROGRAM_TYPES = [
  {
    id: -1,
    name: "raw",
    ctx: "raw",
    returns: null,
    testRun: null,
    packetWrite: false,
    legacyPacketAccess: false,
    since: "bpfjit",
  },
  {
    id: 1,
    name: "socket_filter",
    ctx: "socket_filter",
    returns: null,
    testRun: { data: true, ctx: true },
    packetWrite: false,
    legacyPacketAccess: true,
    since: "3.19",
  },
  unsupported(2, "kprobe", "4.1"),
  {
    id: 3,
    name: "sched_cls",
    ctx: "sched_cls",
    returns: null,
    testRun: { data: true, ctx: true },
    packetWrite: true,
    legacyPacketAccess: true,
    since: "4.1",
  },
  unsupported(4, "sched_act", "4.1"),
  {
    id: 5,
    name: "tracepoint",
    ctx: "tracepoint",
    returns: null,
    testRun: null,
    packetWrite: false,
    legacyPacketAccess: false,
    since: "4.7",
  },
  {
    id: 6,
    name: "xdp",
    ctx: "xdp_md",
    returns: null,
    testRun: { data: true, ctx: true },
    packetWrite: true,
    legacyPacketAccess: false,
    since: "4.8",
  },
  unsupported(7, "perf_event", "4.9"),
  unsupported(8, "cgroup_skb", "4.10"),
  unsupported(9, "cgroup_sock", "4.10"),
  unsupported(10, "lwt_in", "4.10"),
  unsupported(11, "lwt_out", "4.10"),
  unsupported(12, "lwt_xmit", "4.10"),
  unsupported(13, "sock_ops", "4.13"),
  unsupported(14, "sk_skb", "4.14"),
  unsupported(15, "cgroup_device", "4.15"),
  unsupported(16, "sk_msg", "4.17"),
  {
    id: 17,
    name: "raw_tracepoint",
    ctx: "bpf_raw_tracepoint_args",
    returns: null,
    testRun: { data: false, ctx: true },
    packetWrite: false,
    legacyPacketAccess: false,
    since: "4.17",
  },
  unsupported(18, "cgroup_sock_addr", "4.17"),
  unsupported(19, "lwt_seg6local", "4.18"),
  unsupported(20, "lirc_mode2", "4.18"),
  unsupported(21, "sk_reuseport", "4.19"),
  unsupported(22, "flow_dissector", "4.20"),
  unsupported(23, "cgroup_sysctl", "5.2"),
  unsupported(24, "raw_tracepoint_writable", "5.2"),
  unsupported(25, "cgroup_sockopt", "5.3"),
  unsupported(26, "tracing", "5.5"),
  unsupported(27, "struct_ops", "5.6"),
  unsupported(28, "ext", "5.6"),
  unsupported(29, "lsm", "5.7"),
  unsupported(30, "sk_lookup", "5.9"),
  unsupported(31, "syscall", "5.14"),
  unsupported(32, "netfilter", "6.4"),
] as const satisfies readonly ProgramTypeSpec[];

export type ProgramTypeName = (typeof PROGRAM_TYPES)[number]["name"];
type NamedProgramType = ProgramTypeSpec & { readonly name: ProgramTypeName };
const BY_NAME = new Map<string, NamedProgramType>(PROGRAM_TYPES.map((spec) => [spec.name, spec]));

export function programType(name: ProgramTypeName): NamedProgramType {
  return BY_NAME.get(name)!;
}
export const programTypeByName = (name: string): NamedProgramType | undefined => BY_NAME.get(name);
