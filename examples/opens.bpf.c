/* SPDX-License-Identifier: MIT
 * opens: who calls openat(), as records of a perf event array.
 *
 * The file's name is in the caller's memory. A recording does not hold that memory, so over a capture `length` says
 * -EFAULT and `filename` is empty; on a live process it is the string's length.
 */
#include "include/bpf.h"

#define FILENAME_BYTES 64

struct open {
	u64 time;
	u32 pid;
	u32 tid;
	s32 dfd;
	u32 flags;
	/* address of the name in the caller's memory */
	u64 address;
	/* bytes of the name with its zero, or -errno */
	s64 length;
	char comm[COMM_BYTES];
	char filename[FILENAME_BYTES];
};

const struct open *unused_open __attribute__((unused));

struct {
	MAP_NUMBER(type, MAP_PERF_EVENT_ARRAY);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u32);
} opens SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_openat")
int log_open(struct sys_enter_openat *ctx)
{
	u64 pid_tgid = get_current_pid_tgid();
	struct open record = {};

	record.time = ktime_get_ns();
	record.pid = pid_tgid >> 32;
	record.tid = pid_tgid;
	record.dfd = ctx->dfd;
	record.flags = ctx->flags;
	record.address = (u64)ctx->filename;
	get_current_comm(record.comm, sizeof(record.comm));
	record.length = probe_read_user_str(record.filename, sizeof(record.filename), ctx->filename);
	perf_event_output(ctx, &opens, CURRENT_CPU, &record, sizeof(record));
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
