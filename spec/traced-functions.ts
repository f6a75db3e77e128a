/**
 * Kernel functions that tracing programs may not be attached to, or only with less: facts that BTF does not have.
 * Source: kernel/bpf/verifier.c (btf_id_deny, noreturn_deny, btf_non_sleepable_error_inject); ALLOW_ERROR_INJECTION() and
 * the fmod_ret sets of kernel functions, as of Linux 6.18.
 */
const names = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** A trampoline calls them itself; which of them are functions depends on how the kernel was configured. */
const DENIED = names(`
  migrate_disable migrate_enable ___migrate_enable rcu_read_unlock_strict preempt_count_add preempt_count_sub
  __rcu_read_lock __rcu_read_unlock
`);

/** They never return, so there is no exit to run at. */
const NO_RETURN = names(`
  __ia32_sys_exit __ia32_sys_exit_group __kunit_abort kunit_try_catch_throw __module_put_and_kthread_exit __x64_sys_exit
  __x64_sys_exit_group do_exit do_group_exit kthread_complete_and_exit kthread_exit make_task_dead
`);

/** All system calls may fail on purpose. */
const SYSTEM_CALL = /^__(?:x64|ia32|arm64)_(?:compat_)?sys_/;
const MAY_FAIL = names(`
  should_failslab should_fail_alloc_page should_fail_bio __filemap_add_folio btrfs_should_cancel_balance
  btrfs_check_leaf_full btrfs_check_node open_ctree io_ctl_init cow_file_range_async
`);
const NOT_SLEEPABLE = names("__filemap_add_folio should_fail_alloc_page should_failslab");

const MODIFIABLE = names(`
  bpf_modify_return_test bpf_modify_return_test2 bpf_modify_return_test_tp bpf_fentry_test1 update_socket_protocol
  bpf_rstat_flush hid_bpf_device_event hid_bpf_rdesc_fixup
`);
const SLEEPABLE_MODIFIABLE = names("bpf_fentry_test1 bpf_modify_return_test_tp");

const mayFail = (name: string): boolean => SYSTEM_CALL.test(name) || MAY_FAIL.has(name);

export const deniesTracing = (name: string): boolean => DENIED.has(name);
export const neverReturns = (name: string): boolean => NO_RETURN.has(name);
/** Whether a program may decide what it returns (fmod_ret). */
export const mayModifyReturn = (name: string): boolean =>
  mayFail(name) || name.startsWith("security_") || MODIFIABLE.has(name);
/** Whether programs at it may sleep. */
export const mayTraceSleeping = (name: string): boolean =>
  (mayFail(name) && !NOT_SLEEPABLE.has(name)) || SLEEPABLE_MODIFIABLE.has(name);

/** Functions in which bpf_d_path may be called. Source: kernel/trace/bpf_trace.c, btf_allowlist_d_path */
const PATHS = names(`
  security_file_permission security_inode_getattr security_file_open security_path_truncate vfs_truncate vfs_fallocate
  dentry_open vfs_getattr filp_close
`);
export const hasSafePath = (name: string): boolean => PATHS.has(name);
