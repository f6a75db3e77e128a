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
    "real_start_time",
    "real_cred",
    "cred",
    "prio",
    "exit_code",
    "exit_state",
    "__state",
    "state",
    "thread_pid",
    "nsproxy",
    "cgroups",
    "flags",
  ],
  cred: ["uid.val", "gid.val", "suid.val", "sgid.val", "euid.val", "egid.val", "fsuid.val", "fsgid.val", "user_ns"],
  nsproxy: ["uts_ns", "ipc_ns", "mnt_ns", "pid_ns_for_children", "net_ns", "time_ns", "cgroup_ns"],
  uts_namespace: ["ns.inum"],
  ipc_namespace: ["ns.inum"],
  mnt_namespace: ["ns.inum"],
  pid_namespace: ["ns.inum", "level"],
  net: ["ns.inum"],
  time_namespace: ["ns.inum"],
  cgroup_namespace: ["ns.inum"],
  user_namespace: ["ns.inum"],
  // one number a PID namespace, the outermost first; more nesting than four is rare
  pid: ["level", ...[0, 1, 2, 3].flatMap((level) => [`numbers.${level}.nr`, `numbers.${level}.ns`])],
  css_set: ["dfl_cgrp"],
  cgroup: ["kn", "level"],
  kernfs_node: ["id", "name", "parent", "__parent"],
  linux_binprm: ["filename", "interp"],
  // of x86-64, of arm64
  pt_regs: [
    ...["di", "si", "dx", "r10", "r8", "r9", "ax", "orig_ax", "cx", "ip", "sp", "flags", "bx", "bp"],
    ...["regs.0", "regs.1", "regs.2", "regs.3", "regs.4", "regs.5", "regs.8", "orig_x0", "syscallno", "pc", "pstate"],
  ],
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

/**
 * Namespaces of a task: `file` in /proc/PID/ns tells its number, `member` of a task's nsproxy points to it. A task's user
 * namespace is that of its credentials.
 */
export const NAMESPACES = [
  { name: "uts", file: "uts", struct: "uts_namespace", member: "uts_ns" },
  { name: "ipc", file: "ipc", struct: "ipc_namespace", member: "ipc_ns" },
  { name: "mnt", file: "mnt", struct: "mnt_namespace", member: "mnt_ns" },
  { name: "pid", file: "pid_for_children", struct: "pid_namespace", member: "pid_ns_for_children" },
  { name: "net", file: "net", struct: "net", member: "net_ns" },
  { name: "time", file: "time", struct: "time_namespace", member: "time_ns" },
  { name: "cgroup", file: "cgroup", struct: "cgroup_namespace", member: "cgroup_ns" },
  { name: "user", file: "user", struct: "user_namespace", member: null },
] as const;
export type NamespaceName = (typeof NAMESPACES)[number]["name"];

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
