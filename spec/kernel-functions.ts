/**
 * Kernel functions that programs may call (kfuncs): one row each, found by name. What a function takes and returns is in the
 * target's BTF; here is what BTF does not say: which programs may call it and what the call means. The rows are those of
 * Linux 6.18, read from the running kernel's own sets. Source: register_btf_kfunc_id_set(), KF_* in include/linux/btf.h.
 */
import type { AudienceMember } from "./helpers/row.ts";

/** The kernel's KF_*, without the prefix. */
export type KernelFunctionFlag =
  /** the result is a reference, or the argument is one that is given back */
  | "acquire"
  | "release"
  | "retNull"
  /** pointers must be referenced or trusted, or ("rcu") protected by RCU as well; neither may be null */
  | "trustedArgs"
  | "rcu"
  | "sleepable"
  | "iterNew"
  | "iterNext"
  | "iterDestroy"
  /** to be called in an RCU section only, and so is what follows from it */
  | "rcuProtected"
  /** changes no register but r0: clang may keep values in the others */
  | "fastcall"
  /** pointers into an arena: the result, the second argument */
  | "arenaRet"
  | "arenaArg2";

/** Where the runtime implements it; null: a program that calls it is judged, but not run. */
export type KernelFunctionHome = "lowering" | null;

export interface KernelFunctionSpec {
  readonly name: string;
  readonly audience: "all" | readonly AudienceMember[];
  readonly flags: ReadonlySet<KernelFunctionFlag>;
  readonly home: KernelFunctionHome;
  /** bytes that r1 points to, usually on the stack: an iterator, a place for a flag; 0: r1 is no such pointer */
  readonly objectBytes: number;
}

/** Program types of each set that functions are registered for. Kernel: bpf_prog_type_to_kfunc_hook() */
const HOOKS = {
  xdp: ["xdp"],
  tc: ["sched_cls"],
  structOps: ["struct_ops"],
  tracing: ["tracing", "tracepoint", "perf_event", "lsm"],
  syscall: ["syscall"],
  cgroup: [
    "cgroup_skb",
    "cgroup_sock",
    "cgroup_device",
    "cgroup_sock_addr",
    "cgroup_sockopt",
    "cgroup_sysctl",
    "sock_ops",
  ],
  schedAct: ["sched_act"],
  skSkb: ["sk_skb"],
  socketFilter: ["socket_filter"],
  lwt: ["lwt_in", "lwt_out", "lwt_xmit", "lwt_seg6local"],
  netfilter: ["netfilter"],
  // Registered for tracing with a filter. Kernel: bpf_fs_kfuncs_filter(), tracing_iter_filter(), bpf_kprobe_multi_filter()
  lsm: ["lsm"],
  iter: ["tracing/trace_iter"],
  session: ["kprobe/trace_kprobe_session", "kprobe/trace_uprobe_session"],
} as const satisfies Record<string, readonly AudienceMember[]>;
type Hook = keyof typeof HOOKS;

const COMMON = "all";
const STRUCT_OPS: readonly Hook[] = ["structOps"];
const GENERIC: readonly Hook[] = ["tracing", "tc", "xdp", "structOps", "syscall", "cgroup"];
const CPUMASK: readonly Hook[] = ["tracing", "structOps", "syscall"];
const CONNTRACK: readonly Hook[] = ["xdp", "tc"];
const SKB: readonly Hook[] = ["tc", "tracing", "cgroup", "schedAct", "skSkb", "socketFilter", "lwt", "netfilter"];

function row<const Name extends string>(
  name: Name,
  hooks: "all" | readonly Hook[],
  ...flags: readonly KernelFunctionFlag[]
): KernelFunctionSpec & { readonly name: Name; readonly home: null } {
  const audience = hooks === "all" ? "all" : hooks.flatMap((hook): readonly AudienceMember[] => HOOKS[hook]);
  return { name, audience, flags: new Set(flags), home: null, objectBytes: 0 };
}

/** One that the lowering has code for. */
function runs<const Name extends string>(
  spec: KernelFunctionSpec & { readonly name: Name },
  objectBytes = 0,
): KernelFunctionSpec & { readonly name: Name; readonly home: "lowering" } {
  return { ...spec, home: "lowering", objectBytes };
}

export const KERNEL_FUNCTIONS = [
  row("__bpf_trap", COMMON),
  row("bpf_arena_alloc_pages", COMMON, "trustedArgs", "sleepable", "arenaRet", "arenaArg2"),
  row("bpf_arena_free_pages", COMMON, "trustedArgs", "sleepable", "arenaArg2"),
  row("bpf_arena_reserve_pages", COMMON, "trustedArgs", "sleepable", "arenaArg2"),
  row("bpf_cast_to_kern_ctx", COMMON, "fastcall"),
  row("bpf_cgroup_read_xattr", COMMON, "rcu"),
  row("bpf_copy_from_user_dynptr", COMMON, "sleepable"),
  row("bpf_copy_from_user_str", COMMON, "sleepable"),
  row("bpf_copy_from_user_str_dynptr", COMMON, "sleepable"),
  row("bpf_copy_from_user_task_dynptr", COMMON, "trustedArgs", "sleepable"),
  row("bpf_copy_from_user_task_str", COMMON, "sleepable"),
  row("bpf_copy_from_user_task_str_dynptr", COMMON, "trustedArgs", "sleepable"),
  runs(row("bpf_dynptr_adjust", COMMON)),
  runs(row("bpf_dynptr_clone", COMMON)),
  runs(row("bpf_dynptr_copy", COMMON)),
  runs(row("bpf_dynptr_is_null", COMMON)),
  runs(row("bpf_dynptr_is_rdonly", COMMON)),
  runs(row("bpf_dynptr_memset", COMMON)),
  runs(row("bpf_dynptr_size", COMMON)),
  runs(row("bpf_dynptr_slice", COMMON, "retNull")),
  runs(row("bpf_dynptr_slice_rdwr", COMMON, "retNull")),
  row("bpf_get_kmem_cache", COMMON),
  row("bpf_iter_bits_destroy", COMMON, "iterDestroy"),
  row("bpf_iter_bits_new", COMMON, "iterNew"),
  row("bpf_iter_bits_next", COMMON, "retNull", "iterNext"),
  row("bpf_iter_css_destroy", COMMON, "iterDestroy"),
  row("bpf_iter_css_new", COMMON, "trustedArgs", "iterNew", "rcuProtected"),
  row("bpf_iter_css_next", COMMON, "retNull", "iterNext"),
  row("bpf_iter_css_task_destroy", COMMON, "iterDestroy"),
  row("bpf_iter_css_task_new", COMMON, "trustedArgs", "iterNew"),
  row("bpf_iter_css_task_next", COMMON, "retNull", "iterNext"),
  row("bpf_iter_dmabuf_destroy", COMMON, "sleepable", "iterDestroy"),
  row("bpf_iter_dmabuf_new", COMMON, "sleepable", "iterNew"),
  row("bpf_iter_dmabuf_next", COMMON, "retNull", "sleepable", "iterNext"),
  row("bpf_iter_kmem_cache_destroy", COMMON, "sleepable", "iterDestroy"),
  row("bpf_iter_kmem_cache_new", COMMON, "sleepable", "iterNew"),
  row("bpf_iter_kmem_cache_next", COMMON, "retNull", "sleepable", "iterNext"),
  runs(row("bpf_iter_num_destroy", COMMON, "iterDestroy"), 8),
  runs(row("bpf_iter_num_new", COMMON, "iterNew"), 8),
  runs(row("bpf_iter_num_next", COMMON, "retNull", "iterNext"), 8),
  row("bpf_iter_task_destroy", COMMON, "iterDestroy"),
  row("bpf_iter_task_new", COMMON, "trustedArgs", "iterNew", "rcuProtected"),
  row("bpf_iter_task_next", COMMON, "retNull", "iterNext"),
  row("bpf_iter_task_vma_destroy", COMMON, "iterDestroy"),
  row("bpf_iter_task_vma_new", COMMON, "rcu", "iterNew"),
  row("bpf_iter_task_vma_next", COMMON, "retNull", "iterNext"),
  runs(row("bpf_local_irq_restore", COMMON), 8),
  runs(row("bpf_local_irq_save", COMMON), 8),
  row("bpf_map_sum_elem_count", COMMON, "trustedArgs"),
  row("bpf_modify_return_test_tp", COMMON),
  runs(row("bpf_preempt_disable", COMMON)),
  runs(row("bpf_preempt_enable", COMMON)),
  row("bpf_probe_read_kernel_dynptr", COMMON),
  row("bpf_probe_read_kernel_str_dynptr", COMMON),
  row("bpf_probe_read_user_dynptr", COMMON),
  row("bpf_probe_read_user_str_dynptr", COMMON),
  runs(row("bpf_rcu_read_lock", COMMON)),
  runs(row("bpf_rcu_read_unlock", COMMON)),
  runs(row("bpf_rdonly_cast", COMMON, "fastcall")),
  row("bpf_res_spin_lock", COMMON, "retNull"),
  row("bpf_res_spin_lock_irqsave", COMMON, "retNull"),
  row("bpf_res_spin_unlock", COMMON),
  row("bpf_res_spin_unlock_irqrestore", COMMON),
  row("bpf_strcasecmp", COMMON),
  row("bpf_strchr", COMMON),
  row("bpf_strchrnul", COMMON),
  row("bpf_strcmp", COMMON),
  row("bpf_strcspn", COMMON),
  row("bpf_stream_vprintk_impl", COMMON, "trustedArgs"),
  row("bpf_strlen", COMMON),
  row("bpf_strnchr", COMMON),
  row("bpf_strnlen", COMMON),
  row("bpf_strnstr", COMMON),
  row("bpf_strrchr", COMMON),
  row("bpf_strspn", COMMON),
  row("bpf_strstr", COMMON),
  row("bpf_task_work_schedule_resume_impl", COMMON, "trustedArgs"),
  row("bpf_task_work_schedule_signal_impl", COMMON, "trustedArgs"),
  row("bpf_wq_init", COMMON),
  row("bpf_wq_set_callback_impl", COMMON),
  row("bpf_wq_start", COMMON),
  row("bpf_cgroup_acquire", GENERIC, "acquire", "retNull", "rcu"),
  row("bpf_cgroup_ancestor", GENERIC, "acquire", "retNull", "rcu"),
  row("bpf_cgroup_from_id", GENERIC, "acquire", "retNull"),
  row("bpf_cgroup_release", GENERIC, "release"),
  row("bpf_key_put", GENERIC, "release"),
  row("bpf_list_back", GENERIC, "retNull"),
  row("bpf_list_front", GENERIC, "retNull"),
  row("bpf_list_pop_back", GENERIC, "acquire", "retNull"),
  row("bpf_list_pop_front", GENERIC, "acquire", "retNull"),
  row("bpf_list_push_back_impl", GENERIC),
  row("bpf_list_push_front_impl", GENERIC),
  row("bpf_lookup_system_key", GENERIC, "acquire", "retNull"),
  row("bpf_lookup_user_key", GENERIC, "acquire", "retNull", "sleepable"),
  row("bpf_obj_drop_impl", GENERIC, "release"),
  row("bpf_obj_new_impl", GENERIC, "acquire", "retNull"),
  row("bpf_percpu_obj_drop_impl", GENERIC, "release"),
  row("bpf_percpu_obj_new_impl", GENERIC, "acquire", "retNull"),
  row("bpf_rbtree_add_impl", GENERIC),
  row("bpf_rbtree_first", GENERIC, "retNull"),
  row("bpf_rbtree_left", GENERIC, "retNull"),
  row("bpf_rbtree_remove", GENERIC, "acquire", "retNull"),
  row("bpf_rbtree_right", GENERIC, "retNull"),
  row("bpf_rbtree_root", GENERIC, "retNull"),
  row("bpf_refcount_acquire_impl", GENERIC, "acquire", "retNull", "rcu"),
  row("bpf_send_signal_task", GENERIC, "trustedArgs"),
  row("bpf_task_acquire", GENERIC, "acquire", "retNull", "rcu"),
  row("bpf_task_from_pid", GENERIC, "acquire", "retNull"),
  row("bpf_task_from_vpid", GENERIC, "acquire", "retNull"),
  row("bpf_task_get_cgroup1", GENERIC, "acquire", "retNull", "rcu"),
  row("bpf_task_release", GENERIC, "release"),
  row("bpf_task_under_cgroup", GENERIC, "rcu"),
  row("bpf_throw", GENERIC),
  row("bpf_crypto_decrypt", ["xdp", "tc", "schedAct"], "rcu"),
  row("bpf_crypto_encrypt", ["xdp", "tc", "schedAct"], "rcu"),
  row("bpf_ct_change_status", CONNTRACK, "trustedArgs"),
  row("bpf_ct_change_timeout", CONNTRACK, "trustedArgs"),
  row("bpf_ct_insert_entry", CONNTRACK, "acquire", "release", "retNull"),
  row("bpf_ct_release", CONNTRACK, "release"),
  row("bpf_ct_set_nat_info", CONNTRACK, "trustedArgs"),
  row("bpf_ct_set_status", CONNTRACK, "trustedArgs"),
  row("bpf_ct_set_timeout", CONNTRACK, "trustedArgs"),
  row("bpf_skb_ct_alloc", CONNTRACK, "acquire", "retNull"),
  row("bpf_skb_ct_lookup", CONNTRACK, "acquire", "retNull"),
  row("bpf_xdp_ct_alloc", CONNTRACK, "acquire", "retNull"),
  row("bpf_xdp_ct_lookup", CONNTRACK, "acquire", "retNull"),
  runs(row("bpf_dynptr_from_xdp", ["xdp"])),
  row("bpf_xdp_get_xfrm_state", ["xdp"], "acquire", "retNull"),
  row("bpf_xdp_metadata_rx_hash", ["xdp"], "trustedArgs"),
  row("bpf_xdp_metadata_rx_timestamp", ["xdp"], "trustedArgs"),
  row("bpf_xdp_metadata_rx_vlan_tag", ["xdp"], "trustedArgs"),
  row("bpf_xdp_pull_data", ["xdp"]),
  row("bpf_xdp_xfrm_state_release", ["xdp"], "release"),
  runs(row("bpf_dynptr_from_skb", SKB, "trustedArgs")),
  runs(row("bpf_dynptr_from_skb_meta", ["tc", "schedAct"], "trustedArgs")),
  row("bpf_kfunc_call_memb_release", ["tc", "tracing", "syscall"], "release"),
  row("bpf_kfunc_call_test_release", ["tc", "tracing", "syscall"], "release"),
  row("bpf_sk_assign_tcp_reqsk", ["tc"], "trustedArgs"),
  row("bbr_cwnd_event", STRUCT_OPS),
  row("bbr_init", STRUCT_OPS),
  row("bbr_main", STRUCT_OPS),
  row("bbr_min_tso_segs", STRUCT_OPS),
  row("bbr_set_state", STRUCT_OPS),
  row("bbr_sndbuf_expand", STRUCT_OPS),
  row("bbr_ssthresh", STRUCT_OPS),
  row("bbr_undo_cwnd", STRUCT_OPS),
  row("cubictcp_acked", STRUCT_OPS),
  row("cubictcp_cong_avoid", STRUCT_OPS),
  row("cubictcp_cwnd_event", STRUCT_OPS),
  row("cubictcp_init", STRUCT_OPS),
  row("cubictcp_recalc_ssthresh", STRUCT_OPS),
  row("cubictcp_state", STRUCT_OPS),
  row("tcp_cong_avoid_ai", STRUCT_OPS),
  row("tcp_reno_cong_avoid", STRUCT_OPS),
  row("tcp_reno_ssthresh", STRUCT_OPS),
  row("tcp_reno_undo_cwnd", STRUCT_OPS),
  row("tcp_slow_start", STRUCT_OPS),
  row("bpf_cpumask_acquire", CPUMASK, "acquire", "trustedArgs"),
  row("bpf_cpumask_and", CPUMASK, "rcu"),
  row("bpf_cpumask_any_and_distribute", CPUMASK, "rcu"),
  row("bpf_cpumask_any_distribute", CPUMASK, "rcu"),
  row("bpf_cpumask_clear", CPUMASK, "rcu"),
  row("bpf_cpumask_clear_cpu", CPUMASK, "rcu"),
  row("bpf_cpumask_copy", CPUMASK, "rcu"),
  row("bpf_cpumask_create", CPUMASK, "acquire", "retNull"),
  row("bpf_cpumask_empty", CPUMASK, "rcu"),
  row("bpf_cpumask_equal", CPUMASK, "rcu"),
  row("bpf_cpumask_first", CPUMASK, "rcu"),
  row("bpf_cpumask_first_and", CPUMASK, "rcu"),
  row("bpf_cpumask_first_zero", CPUMASK, "rcu"),
  row("bpf_cpumask_full", CPUMASK, "rcu"),
  row("bpf_cpumask_intersects", CPUMASK, "rcu"),
  row("bpf_cpumask_or", CPUMASK, "rcu"),
  row("bpf_cpumask_populate", CPUMASK, "rcu"),
  row("bpf_cpumask_release", CPUMASK, "release"),
  row("bpf_cpumask_set_cpu", CPUMASK, "rcu"),
  row("bpf_cpumask_setall", CPUMASK, "rcu"),
  row("bpf_cpumask_subset", CPUMASK, "rcu"),
  row("bpf_cpumask_test_and_clear_cpu", CPUMASK, "rcu"),
  row("bpf_cpumask_test_and_set_cpu", CPUMASK, "rcu"),
  row("bpf_cpumask_test_cpu", CPUMASK, "rcu"),
  row("bpf_cpumask_weight", CPUMASK, "rcu"),
  row("bpf_cpumask_xor", CPUMASK, "rcu"),
  row("bpf_get_dentry_xattr", ["lsm"], "trustedArgs", "sleepable"),
  row("bpf_get_file_xattr", ["lsm"], "trustedArgs", "sleepable"),
  row("bpf_get_task_exe_file", ["lsm"], "acquire", "retNull", "trustedArgs"),
  row("bpf_path_d_path", ["lsm"], "trustedArgs"),
  row("bpf_put_file", ["lsm"], "release"),
  row("bpf_remove_dentry_xattr", ["lsm"], "trustedArgs", "sleepable"),
  row("bpf_set_dentry_xattr", ["lsm"], "trustedArgs", "sleepable"),
  row("bpf_sock_destroy", ["iter"], "trustedArgs"),
  row("css_rstat_flush", ["tracing"], "sleepable"),
  row("css_rstat_updated", ["tracing"]),
  row("bpf_crypto_ctx_acquire", ["syscall"], "acquire", "retNull", "rcu"),
  row("bpf_crypto_ctx_create", ["syscall"], "acquire", "retNull", "sleepable"),
  row("bpf_crypto_ctx_release", ["syscall"], "release"),
  row("bpf_sock_addr_set_sun_path", ["cgroup"]),
  row("bpf_sock_ops_enable_tx_tstamp", ["cgroup"], "trustedArgs"),
  row("bpf_session_cookie", ["session"]),
  row("bpf_session_is_return", ["session"]),
] as const satisfies readonly KernelFunctionSpec[];

export type KernelFunctionName = (typeof KERNEL_FUNCTIONS)[number]["name"];
/** Those that the lowering has code for. */
export type LoweredFunctionName = Extract<(typeof KERNEL_FUNCTIONS)[number], { readonly home: "lowering" }>["name"];
export type NamedKernelFunction = KernelFunctionSpec & { readonly name: KernelFunctionName };

const BY_NAME = new Map<string, NamedKernelFunction>(KERNEL_FUNCTIONS.map((spec) => [spec.name, spec]));
export const kernelFunctionByName = (name: string): NamedKernelFunction | undefined => BY_NAME.get(name);
