/* SPDX-License-Identifier: MIT
 * execlog: what was executed and how long it ran, as records of a BPF ring buffer.
 */
#include "include/bpf.h"

#define FILENAME_BYTES 128

enum kind { PROCESS_EXEC = 1, PROCESS_EXIT = 2 };

struct record {
	/* ns since boot */
	u64 time;
	/* exit: ns since the process executed its file, 0 where that was not seen */
	u64 duration;
	enum kind kind;
	u32 pid;
	char comm[COMM_BYTES];
	/* exec: the file; empty at exit */
	char filename[FILENAME_BYTES];
};

/* keeps the type of the records in the object's BTF */
const struct record *unused_record __attribute__((unused));

struct {
	MAP_NUMBER(type, MAP_RINGBUF);
	MAP_NUMBER(max_entries, 256 * 1024);
} records SEC(".maps");

/* process → when it executed its file, in ns */
struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, 8192);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} started SEC(".maps");

SEC("tracepoint/sched/sched_process_exec")
int log_exec(struct sched_process_exec *ctx)
{
	u32 pid = get_current_pid_tgid() >> 32;
	u64 now = ktime_get_ns();
	struct record *record;

	map_update(&started, &pid, &now, UPDATE_ANY);
	record = ringbuf_reserve(&records, sizeof(*record), 0);
	if (!record)
		return 0;
	record->time = now;
	record->duration = 0;
	record->kind = PROCESS_EXEC;
	record->pid = pid;
	get_current_comm(record->comm, sizeof(record->comm));
	__builtin_memset(record->filename, 0, sizeof(record->filename));
	probe_read_kernel_str(record->filename, sizeof(record->filename), (void *)ctx + DATA_LOC_OFFSET(ctx->filename));
	ringbuf_submit(record, 0);
	return 0;
}

SEC("tracepoint/sched/sched_process_exit")
int log_exit(struct sched_process_exit *ctx)
{
	u64 pid_tgid = get_current_pid_tgid();
	u32 pid = pid_tgid >> 32;
	u64 now = ktime_get_ns();
	struct record *record;
	u64 *start;

	/* a thread that ends is not its process */
	if (pid != (u32)pid_tgid)
		return 0;
	record = ringbuf_reserve(&records, sizeof(*record), 0);
	if (!record)
		return 0;
	start = map_lookup(&started, &pid);
	record->time = now;
	record->duration = start ? now - *start : 0;
	record->kind = PROCESS_EXIT;
	record->pid = pid;
	__builtin_memcpy(record->comm, ctx->comm, COMM_BYTES);
	__builtin_memset(record->filename, 0, sizeof(record->filename));
	ringbuf_submit(record, 0);
	if (start)
		map_delete(&started, &pid);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
