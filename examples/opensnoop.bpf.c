/* SPDX-License-Identifier: MIT
 * opensnoop: every openat(), with the file's name and what came of it, as records of a BPF ring buffer.
 */
#include "include/bpf.h"

#define FILENAME_BYTES 256

struct open {
	u32 pid;
	u32 tid;
	/* the descriptor, or -errno */
	s32 ret;
	u32 flags;
	char comm[COMM_BYTES];
	char filename[FILENAME_BYTES];
};

const struct open *const unused_open __attribute__((used));

struct {
	MAP_NUMBER(type, MAP_RINGBUF);
	MAP_NUMBER(max_entries, 1024 * 1024);
} opens SEC(".maps");

/* thread → its call under way */
struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, 1024);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct open);
} calls SEC(".maps");

static const struct open EMPTY;

SEC("tracepoint/syscalls/sys_enter_openat")
int begin_open(struct sys_enter_openat *ctx)
{
	u64 pid_tgid = get_current_pid_tgid();
	u32 tid = pid_tgid;
	struct open *open;

	map_update(&calls, &tid, &EMPTY, UPDATE_ANY);
	open = map_lookup(&calls, &tid);
	if (!open)
		return 0;
	open->pid = pid_tgid >> 32;
	open->tid = tid;
	open->flags = ctx->flags;
	get_current_comm(open->comm, sizeof(open->comm));
	probe_read_user_str(open->filename, sizeof(open->filename), ctx->filename);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_openat")
int end_open(struct sys_exit *ctx)
{
	u32 tid = get_current_pid_tgid();
	struct open *open = map_lookup(&calls, &tid);

	if (!open)
		return 0;
	open->ret = ctx->ret;
	ringbuf_output(&opens, open, sizeof(*open), 0);
	map_delete(&calls, &tid);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
