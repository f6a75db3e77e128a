/**
 * Context layouts: what r1 points to, as the uapi structs lay it out in the arena. The verifier checks accesses against
 * it, the lowering makes pointers of the fields that hold them, the runtime fills it. Offsets and sizes in bytes.
 * Source: include/uapi/linux/bpf.h; each type's is_valid_access() in net/core/filter.c, kernel/trace/bpf_trace.c.
 */
import { type CtxSpec, pointer, scalar, whole } from "./ctx/field.ts";
import { CGROUP_SKB, FLOW_DISSECTOR, LWT, SCHED_CLS, SK_SKB, SOCKET_FILTER } from "./ctx/skb.ts";
import {
  CGROUP_DEVICE,
  CGROUP_SOCK,
  CGROUP_SOCKOPT,
  CGROUP_SYSCTL,
  SK_LOOKUP,
  SK_MSG,
  SK_REUSEPORT,
  SOCK_ADDR,
  SOCK_OPS,
} from "./ctx/sockets.ts";
import { type Architecture, DEFAULT_ARCHITECTURE, REGISTERS_BYTES, registerFile } from "./registers.ts";

export type { CtxField, CtxFieldKind, CtxSpec } from "./ctx/field.ts";

export const CTX = {
  tracepoint: { name: "tracepoint", size: null, fields: [], open: { from: 8, to: 8192, write: false } },
  bpf_raw_tracepoint_args: {
    name: "bpf_raw_tracepoint_args",
    size: null,
    fields: [],
    open: { from: 0, to: 96, write: false },
  },
  /** the first argument is a buffer that the program may write */
  raw_tracepoint_writable: {
    name: "bpf_raw_tracepoint_args",
    size: null,
    fields: [pointer("buffer", 0, "tpBuffer", 8)],
    // Bytes of the pointer are read as numbers.
    open: { from: 1, to: 96, write: false },
  },
  /** of x86-64 */
  pt_regs: probeContext(REGISTERS_BYTES),
  bpf_perf_event_data: sampleContext(REGISTERS_BYTES),
  xdp_md: {
    name: "xdp_md",
    size: 24,
    fields: [
      pointer("data", 0, "packet"),
      pointer("data_end", 4, "packetEnd"),
      pointer("data_meta", 8, "packetMeta"),
      whole("ingress_ifindex", 12),
      whole("rx_queue_index", 16),
      { ...whole("egress_ifindex", 20), attachTypes: ["xdp_devmap"] },
    ],
    open: null,
  },
  socket_filter: SOCKET_FILTER,
  sched_cls: SCHED_CLS,
  cgroup_skb: CGROUP_SKB,
  lwt: LWT,
  sk_skb: SK_SKB,
  flow_dissector: FLOW_DISSECTOR,
  bpf_sock: CGROUP_SOCK,
  bpf_sock_addr: SOCK_ADDR,
  bpf_sock_ops: SOCK_OPS,
  sk_msg_md: SK_MSG,
  sk_reuseport_md: SK_REUSEPORT,
  bpf_sk_lookup: SK_LOOKUP,
  bpf_cgroup_dev_ctx: CGROUP_DEVICE,
  bpf_sysctl: CGROUP_SYSCTL,
  bpf_sockopt: CGROUP_SOCKOPT,
  /** the first argument of BPF_PROG_TEST_RUN, whatever it is */
  syscall: { name: "syscall", size: null, fields: [], open: { from: 0, to: 0xffff, write: true } },
  /** the arguments of the function or tracepoint that the program attaches to, 8 bytes each, as its BTF has them */
  function_args: { name: "function arguments", size: null, fields: [], open: null },
  bpf_nf_ctx: {
    name: "bpf_nf_ctx",
    size: 16,
    fields: [pointer("nf_hook_state", 0, "btf", 8), pointer("sk_buff", 8, "btf", 8)],
    open: null,
  },
  /** a raw pulse or space. Kernel: lirc_mode2_is_valid_access() */
  lirc_mode2: { name: "u32", size: 4, fields: [whole("sample", 0)], open: null },
  /** bpfjit's own: r1 is plain memory, not a ctx (design, section 9: exec) */
  raw: { name: "raw", size: null, fields: [], open: null },
} as const satisfies Record<string, CtxSpec>;

export type CtxName = keyof typeof CTX;

/** The layout on that machine. `registersBytes`: of the target's struct pt_regs, at most what every ctx has (RegisterFile.bytes). */
export function ctxSpec(
  name: CtxName,
  architecture: Architecture = DEFAULT_ARCHITECTURE,
  registersBytes: number = registerFile(architecture).bytes,
): CtxSpec {
  if (architecture === DEFAULT_ARCHITECTURE) return CTX[name];
  if (name === "pt_regs") return probeContext(Math.min(registersBytes, registerFile(architecture).bytes));
  return name === "bpf_perf_event_data" ? sampleContext(registerFile(architecture).sampledBytes) : CTX[name];
}

function probeContext(bytes: number) {
  return { name: "pt_regs", size: bytes, fields: [], open: { from: 0, to: bytes, write: false } } as const;
}
/** Registers, and behind them what the event was. */
function sampleContext(registersBytes: number) {
  return {
    name: "bpf_perf_event_data",
    size: registersBytes + 16,
    fields: [scalar("sample_period", registersBytes, 8), scalar("addr", registersBytes + 8, 8)],
    open: { from: 0, to: registersBytes, write: false, size: 8 },
  } as const;
}
