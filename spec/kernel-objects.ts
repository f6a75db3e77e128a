/**
 * Which members of the kernel's structs event sources can fill, by path from the struct. The compiler looks their offsets up
 * in the target's BTF and puts them into the manifest, so that a prebuilt program needs no BTF to run. What a target does not
 * have is left out; what no source knows reads as zeros.
 */
export const KERNEL_OBJECTS = {
  task_struct: [
    "pid",
    "tgid",
    "comm",
    "real_parent",
    "parent",
    "group_leader",
    "start_time",
    "start_boottime",
    "real_cred",
    "cred",
    "prio",
    "exit_code",
    "__state",
    "state",
    "thread_pid",
    "nsproxy",
  ],
  cred: ["uid.val", "gid.val", "suid.val", "sgid.val", "euid.val", "egid.val", "fsuid.val", "fsgid.val"],
  linux_binprm: ["filename", "interp"],
  pt_regs: ["di", "si", "dx", "r10", "r8", "r9", "ax", "orig_ax", "cx", "ip", "sp", "flags", "bx", "bp"],
  request: ["__sector", "__data_len", "cmd_flags", "q", "part", "rq_disk"],
  request_queue: ["disk"],
  gendisk: ["major", "first_minor", "disk_name", "part0"],
  block_device: ["bd_dev", "bd_disk", "bd_partno"],
  irqaction: ["name", "irq"],
  kernel_siginfo: ["si_signo", "si_errno", "si_code"],
  k_sigaction: ["sa.sa_handler", "sa.sa_flags"],
  bpf_iter_meta: ["seq", "session_id", "seq_num"],
  seq_file: ["buf", "size", "from", "count", "index"],
  bpf_map: ["id", "map_type", "key_size", "value_size", "max_entries", "map_flags", "name", "frozen"],
  sk_buff: ["len", "data_len", "data", "dev", "protocol", "sk"],
  xdp_buff: ["data", "data_end"],
  net_device: ["name", "ifindex"],
  sock: [
    "__sk_common.skc_family",
    "__sk_common.skc_state",
    "__sk_common.skc_num",
    "__sk_common.skc_dport",
    "__sk_common.skc_daddr",
    "__sk_common.skc_rcv_saddr",
    "__sk_common.skc_v6_daddr",
    "__sk_common.skc_v6_rcv_saddr",
    "sk_protocol",
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type KernelStruct = keyof typeof KERNEL_OBJECTS;

/** One member: bytes from the start of the struct, and how many. */
export interface MemberPlace {
  readonly offsetBytes: number;
  readonly bytes: number;
}
export interface KernelLayout {
  readonly bytes: number;
  readonly members: Readonly<Record<string, MemberPlace>>;
}
/** Of the structs that the target has. */
export type KernelLayouts = Readonly<Record<string, KernelLayout>>;
