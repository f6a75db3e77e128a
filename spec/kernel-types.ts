/**
 * Fields of kernel structs that point to something whose life is known although no tag says so: as long as the struct that
 * holds them (`trusted`), or until the RCU section ends (`rcu`). Compilers that keep no tags in BTF make this list necessary.
 * Source: kernel/bpf/verifier.c, BTF_TYPE_SAFE_TRUSTED, …_TRUSTED_OR_NULL, …_RCU, …_RCU_OR_NULL, as 6.18 has them in its BTF.
 */
export interface SafeField {
  readonly struct: string;
  readonly field: string;
  /** name of the struct that it points to */
  readonly target: string;
  readonly life: "trusted" | "rcu";
  readonly mayBeNull: boolean;
}

const row = (
  struct: string,
  field: string,
  target: string,
  life: SafeField["life"],
  mayBeNull: boolean,
): SafeField => ({
  struct,
  field,
  target,
  life,
  mayBeNull,
});

const SAFE_FIELDS: readonly SafeField[] = [
  row("bpf_iter_meta", "seq", "seq_file", "trusted", false),
  row("bpf_iter__task", "meta", "bpf_iter_meta", "trusted", false),
  row("bpf_iter__task", "task", "task_struct", "trusted", false),
  row("linux_binprm", "file", "file", "trusted", false),
  row("file", "f_inode", "inode", "trusted", false),
  row("dentry", "d_inode", "inode", "trusted", true),
  row("socket", "sk", "sock", "trusted", true),
  row("task_struct", "cpus_ptr", "cpumask", "rcu", false),
  row("task_struct", "cgroups", "css_set", "rcu", false),
  row("task_struct", "real_parent", "task_struct", "rcu", false),
  row("task_struct", "group_leader", "task_struct", "rcu", false),
  row("cgroup", "kn", "kernfs_node", "rcu", false),
  row("css_set", "dfl_cgrp", "cgroup", "rcu", false),
  row("cgroup_subsys_state", "cgroup", "cgroup", "rcu", false),
  row("mm_struct", "exe_file", "file", "rcu", true),
  row("sk_buff", "sk", "sock", "rcu", true),
  row("request_sock", "sk", "sock", "rcu", true),
];

const BY_FIELD = new Map(SAFE_FIELDS.map((known) => [`${known.struct}.${known.field}`, known]));

/** Undefined where nothing is known of the field, or it points to something else. */
export function safeField(struct: string, field: string, target: string): SafeField | undefined {
  const known = BY_FIELD.get(`${struct}.${field}`);
  return known?.target === target ? known : undefined;
}
