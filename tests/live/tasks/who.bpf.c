/* SPDX-License-Identifier: MIT
 * Tells at each mark of lives.c, a dup() of a number that is no descriptor, who made it.
 */
#include "../../../examples/include/bpf.h"

#define MARK 0x40000000

static u64 (*const get_current_task)(void) = (void *)35;
static u64 (*const get_current_cgroup_id)(void) = (void *)80;
static long (*const probe_read_kernel)(void *to, u32 bytes, const void *from) = (void *)113;

struct task_struct {
	struct task_struct *real_parent;
	s32 tgid;
	char comm[COMM_BYTES];
} __attribute__((preserve_access_index));

struct sys_enter_dup {
	struct trace_head head;
	s32 nr;
	u64 fd;
};

struct who {
	u64 cgroup;
	u32 mark;
	u32 tid;
	u32 pid;
	u32 ppid;
	u32 uid;
	u32 gid;
	char comm[COMM_BYTES];
	char parent[COMM_BYTES];
};

const struct who *const unused_who __attribute__((used));

struct {
	MAP_NUMBER(type, MAP_RINGBUF);
	MAP_NUMBER(max_entries, 1024 * 1024);
} told SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_dup")
int tell(struct sys_enter_dup *ctx)
{
	struct task_struct *task = (void *)get_current_task();
	struct task_struct *parent = 0;
	struct who who = {};

	if (!(ctx->fd & MARK))
		return 0;
	who.cgroup = get_current_cgroup_id();
	who.mark = ctx->fd & ~MARK;
	who.tid = get_current_pid_tgid();
	who.pid = get_current_pid_tgid() >> 32;
	who.uid = get_current_uid_gid();
	who.gid = get_current_uid_gid() >> 32;
	get_current_comm(who.comm, sizeof(who.comm));
	probe_read_kernel(&parent, sizeof(parent), &task->real_parent);
	probe_read_kernel(&who.ppid, sizeof(who.ppid), &parent->tgid);
	probe_read_kernel(who.parent, sizeof(who.parent), parent->comm);
	ringbuf_output(&told, &who, sizeof(who), 0);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
