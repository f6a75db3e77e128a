/**
 * Hooks of security modules (functions `bpf_lsm_NAME` in the kernel's BTF) that are unlike the others: programs may not be
 * attached, may sleep, may not trust their arguments, return a truth value instead of 0 or an error.
 * Source: kernel/bpf/bpf_lsm.c, as of Linux 6.18.
 */
const names = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Kernel: bpf_lsm_disabled_hooks */
const DISABLED = names(`
  vm_enough_memory inode_need_killpriv inode_getsecurity inode_listsecurity inode_copy_up_xattr getselfattr getprocattr
  setprocattr key_getsecurity audit_rule_match xfrm_decode_session ismaclabel file_alloc_security
`);

/** Kernel: sleepable_lsm_hooks */
const SLEEPABLE = names(`
  bpf bpf_map bpf_map_create bpf_map_free bpf_prog bpf_prog_load bpf_token_create bpf_token_free
  bpf_token_cmd bpf_token_capable bprm_check_security bprm_committed_creds bprm_committing_creds bprm_creds_for_exec
  bprm_creds_from_file capget capset cred_prepare file_ioctl file_lock file_open file_post_open file_receive
  inode_create inode_free_security inode_getattr inode_getxattr inode_mknod inode_need_killpriv inode_post_setxattr
  inode_post_removexattr inode_readlink inode_removexattr inode_rename inode_rmdir inode_setattr inode_setxattr
  inode_symlink inode_unlink kernel_module_request kernel_read_file kernfs_init_security path_unlink path_mkdir
  path_rmdir path_truncate path_symlink path_link path_rename path_chmod path_chown mmap_file netlink_send path_notify
  release_secctx sb_alloc_security sb_eat_lsm_opts sb_kern_mount sb_mount sb_remount sb_set_mnt_opts sb_show_options
  sb_statfs sb_umount settime socket_accept socket_bind socket_connect socket_create socket_getpeername
  socket_getpeersec_dgram socket_getsockname socket_getsockopt socket_listen socket_post_create socket_recvmsg
  socket_sendmsg socket_shutdown socket_socketpair syslog task_alloc task_prctl task_setscheduler userns_create
  bdev_alloc_security bdev_setintegrity
`);

/** What they are given is not made yet, or about to go. Kernel: untrusted_lsm_hooks */
const UNTRUSTED = names(`
  bpf_map_free bpf_prog_free file_alloc_security file_free_security sk_alloc_security sk_free_security task_free
  bdev_alloc_security bdev_free_security
`);

/** Kernel: bool_lsm_hooks */
const TRUTH = names("xfrm_state_pol_flow_match audit_rule_known inode_xattr_skipcap");

/** Hooks of lsm_cgroup programs in which the socket's options may be read and set. Kernel: bpf_lsm_…_sockopt_hooks */
const SOCKET_OPTIONS = names("sock_graft inet_csk_clone inet_conn_established socket_post_create socket_socketpair");

/** Functions whose names begin as those of hooks do. */
const NO_HOOKS = names(`
  find_cgroup_shim func_proto get_retval_range has_d_inode_locked hook_returns_errno init is_sleepable_hook is_trusted
  verify_prog
`);

export interface LsmHookSpec {
  readonly disabled: boolean;
  readonly sleepable: boolean;
  readonly trusted: boolean;
  /** returns 0 or 1, not 0 or an error */
  readonly truth: boolean;
  readonly socketOptions: boolean;
}

const PREFIX = "bpf_lsm_";

/** By the function's name, `bpf_lsm_file_open`; null where that is none of a hook. */
export function lsmHook(func: string): LsmHookSpec | null {
  const name = func.slice(PREFIX.length);
  if (!func.startsWith(PREFIX) || NO_HOOKS.has(name)) return null;
  return {
    disabled: DISABLED.has(name),
    sleepable: SLEEPABLE.has(name),
    trusted: !UNTRUSTED.has(name),
    truth: TRUTH.has(name),
    socketOptions: SOCKET_OPTIONS.has(name),
  };
}
