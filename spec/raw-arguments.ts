/**
 * From a recorded tracepoint to the arguments that programs of its raw tracepoint get: scalars as they were, pointers to
 * kernel objects that hold what the record says. A row a raw tracepoint. Source: include/trace/events/*.h (TP_PROTO, and
 * TP_fast_assign backwards), as of 6.18.
 */
import type { KernelStruct } from "./kernel-objects.ts";

/** Where an argument, or a member of an object, comes from. */
export type ArgumentSource =
  | NumberSource
  | { readonly constant: number }
  /** pointer to a text of the record */
  | { readonly text: string }
  /** bytes of the record, as they stand */
  | { readonly bytes: string }
  /** blk_status_t, of which the record has the errno */
  | { readonly blockStatus: string }
  /** blk_opf_t from the letters that the record shows */
  | { readonly operation: string }
  /** the task that caused the event */
  | { readonly task: "current"; readonly members?: Members }
  /** the task of that thread id */
  | { readonly task: string; readonly members?: Members }
  /** the object that these fields name: the same for the same values. No fields: one for all events */
  | { readonly object: KernelStruct; readonly key: readonly string[]; readonly members: Members }
  /** the object whose own address the record has; 0: null */
  | { readonly object: KernelStruct; readonly address: string; readonly members: Members };

/**
 * A number of the record: `((field & mask) >> shift) * times`, zero-extended from the field's own width; where `values` has the
 * result, what stands there.
 */
export interface NumberSource {
  readonly field: string;
  /** element of an array */
  readonly index?: number;
  readonly mask?: number;
  readonly shift?: number;
  readonly times?: number;
  readonly values?: Readonly<Record<number, number>>;
  /** 16 bits in the network's order */
  readonly swapped?: true;
}

export type Members = Readonly<Record<string, ArgumentSource>>;

export interface RawArguments {
  /** of the raw tracepoint */
  readonly name: string;
  /** `system/name` of the tracepoint that is recorded */
  readonly event: string;
  readonly args: readonly ArgumentSource[];
}

const field = (name: string): ArgumentSource => ({ field: name });
const row = (name: string, system: string, args: readonly ArgumentSource[], event = name): RawArguments => ({
  name,
  event: `${system}/${event}`,
  args,
});

/**
 * prev_state of a record: 0x100 says that the task was preempted, the rest is its state as it is reported. Kernel:
 * __task_state_index(), which folds the state of ending together with the dead task's, and has a bit of its own for idling.
 */
const PREEMPTED = 0x100;
const STATE = 0xff;
const EXITED = 0x30;
const TASK_DEAD = 0x80;
const TASK_IDLE = 0x402;
const leftState: NumberSource = {
  field: "prev_state",
  mask: STATE,
  values: { 16: TASK_DEAD, 32: TASK_DEAD, 128: TASK_IDLE },
};

/** of the kernel's dev_t */
const MINOR_BITS = 20;
const SECTOR_BYTES = 512;

const woken: readonly ArgumentSource[] = [{ task: "pid", members: { comm: { bytes: "comm" }, prio: field("prio") } }];

const requestOf = (size: ArgumentSource): ArgumentSource => ({
  object: "request",
  key: ["dev", "sector"],
  members: {
    __sector: field("sector"),
    __data_len: size,
    cmd_flags: { operation: "rwbs" },
    part: { object: "block_device", key: ["dev"], members: { bd_dev: field("dev"), bd_disk: diskOf() } },
    q: { object: "request_queue", key: ["dev"], members: { disk: diskOf() } },
    rq_disk: diskOf(),
  },
});
function diskOf(): ArgumentSource {
  return {
    object: "gendisk",
    key: ["dev"],
    members: {
      major: { field: "dev", shift: MINOR_BITS },
      first_minor: { field: "dev", mask: (1 << MINOR_BITS) - 1 },
    },
  };
}
const action: ArgumentSource = {
  object: "irqaction",
  key: ["irq"],
  members: { name: { text: "name" }, irq: field("irq") },
};
const packet = (members: Members): ArgumentSource => ({ object: "sk_buff", address: "skbaddr", members });
const device: ArgumentSource = { object: "net_device", key: ["name"], members: { name: { bytes: "name" } } };
const information: ArgumentSource = {
  object: "kernel_siginfo",
  key: [],
  members: { si_signo: field("sig"), si_errno: field("errno"), si_code: field("code") },
};

const ROWS: readonly RawArguments[] = [
  row("sched_switch", "sched", [
    { field: "prev_state", mask: PREEMPTED, shift: 8 },
    {
      task: "prev_pid",
      members: {
        comm: { bytes: "prev_comm" },
        prio: field("prev_prio"),
        __state: leftState,
        state: leftState,
        exit_state: { field: "prev_state", mask: EXITED },
      },
    },
    {
      task: "next_pid",
      members: {
        comm: { bytes: "next_comm" },
        prio: field("next_prio"),
        __state: { constant: 0 },
        state: { constant: 0 },
      },
    },
    leftState,
  ]),
  row("sched_wakeup", "sched", woken),
  row("sched_wakeup_new", "sched", woken),
  row("sched_waking", "sched", woken),
  row("sched_process_fork", "sched", [
    { task: "parent_pid", members: { comm: { bytes: "parent_comm" } } },
    { task: "child_pid", members: { comm: { bytes: "child_comm" } } },
  ]),
  row("sched_process_exec", "sched", [
    { task: "current" },
    field("old_pid"),
    { object: "linux_binprm", key: [], members: { filename: { text: "filename" }, interp: { text: "filename" } } },
  ]),
  row("sched_process_exit", "sched", [
    { task: "pid", members: { comm: { bytes: "comm" }, prio: field("prio") } },
    field("group_dead"),
  ]),
  row("sys_enter", "raw_syscalls", [
    {
      object: "pt_regs",
      key: [],
      members: {
        di: { field: "args", index: 0 },
        si: { field: "args", index: 1 },
        dx: { field: "args", index: 2 },
        r10: { field: "args", index: 3 },
        r8: { field: "args", index: 4 },
        r9: { field: "args", index: 5 },
        orig_ax: field("id"),
        "regs.0": { field: "args", index: 0 },
        "regs.1": { field: "args", index: 1 },
        "regs.2": { field: "args", index: 2 },
        "regs.3": { field: "args", index: 3 },
        "regs.4": { field: "args", index: 4 },
        "regs.5": { field: "args", index: 5 },
        "regs.8": field("id"),
        orig_x0: { field: "args", index: 0 },
        syscallno: field("id"),
      },
    },
    field("id"),
  ]),
  row("sys_exit", "raw_syscalls", [
    {
      object: "pt_regs",
      key: [],
      members: { ax: field("ret"), orig_ax: field("id"), "regs.0": field("ret"), syscallno: field("id") },
    },
    field("ret"),
  ]),
  row("block_rq_insert", "block", [requestOf(field("bytes"))]),
  row("block_rq_issue", "block", [requestOf(field("bytes"))]),
  row("block_rq_complete", "block", [
    requestOf({ field: "nr_sector", times: SECTOR_BYTES }),
    { blockStatus: "error" },
    { field: "nr_sector", times: SECTOR_BYTES },
  ]),
  row("irq_handler_entry", "irq", [field("irq"), action]),
  row("irq_handler_exit", "irq", [field("irq"), { object: "irqaction", key: ["irq"], members: {} }, field("ret")]),
  row("softirq_entry", "irq", [field("vec")]),
  row("softirq_exit", "irq", [field("vec")]),
  row("softirq_raise", "irq", [field("vec")]),
  row("signal_generate", "signal", [
    field("sig"),
    information,
    { task: "pid", members: { comm: { bytes: "comm" } } },
    field("group"),
    field("result"),
  ]),
  row("signal_deliver", "signal", [
    field("sig"),
    information,
    {
      object: "k_sigaction",
      key: [],
      members: { "sa.sa_handler": field("sa_handler"), "sa.sa_flags": field("sa_flags") },
    },
  ]),
  row("net_dev_queue", "net", [packet({ len: field("len"), dev: device })]),
  row("net_dev_xmit", "net", [packet({ len: field("len"), dev: device }), field("rc"), device, field("len")]),
  row("netif_receive_skb", "net", [packet({ len: field("len"), dev: device })]),
  row("netif_rx", "net", [packet({ len: field("len"), dev: device })]),
  row("kfree_skb", "skb", [
    packet({ protocol: field("protocol") }),
    field("location"),
    field("reason"),
    { object: "sock", address: "rx_sk", members: {} },
  ]),
  row("consume_skb", "skb", [packet({}), field("location")]),
  row("inet_sock_set_state", "sock", [
    {
      object: "sock",
      address: "skaddr",
      members: {
        "__sk_common.skc_family": field("family"),
        // it is told before the state changes
        "__sk_common.skc_state": field("oldstate"),
        "__sk_common.skc_num": field("sport"),
        "__sk_common.skc_dport": { field: "dport", swapped: true },
        "__sk_common.skc_rcv_saddr": { bytes: "saddr" },
        "__sk_common.skc_daddr": { bytes: "daddr" },
        "__sk_common.skc_v6_rcv_saddr": { bytes: "saddr_v6" },
        "__sk_common.skc_v6_daddr": { bytes: "daddr_v6" },
        sk_protocol: field("protocol"),
      },
    },
    field("oldstate"),
    field("newstate"),
  ]),
  row("page_fault_user", "exceptions", [field("address"), faultRegisters(), field("error_code")]),
  row("page_fault_kernel", "exceptions", [field("address"), faultRegisters(), field("error_code")]),
  row("task_rename", "task", [{ task: "pid", members: { comm: { bytes: "oldcomm" } } }, { text: "newcomm" }]),
];

function faultRegisters(): ArgumentSource {
  return { object: "pt_regs", key: [], members: { ip: field("ip"), pc: field("ip") } };
}

const BY_EVENT = new Map(ROWS.map((entry) => [entry.event, entry]));

/** By the recorded tracepoint, `system/name`. */
export const rawArgumentsOfEvent = (event: string): RawArguments | undefined => BY_EVENT.get(event);

const BY_NAME = new Map(ROWS.map((entry) => [entry.name, entry]));

/** By the name of the raw tracepoint. */
export const rawArgumentsOf = (name: string): RawArguments | undefined => BY_NAME.get(name);
