/* SPDX-License-Identifier: MIT
 * execsnoop: every successful execve(), with the arguments of the call, as records of a BPF ring buffer.
 *
 * The arguments are in the caller's memory, which the call replaces: they are read when it begins, and reported when it is
 * known to have succeeded.
 */
#include "include/bpf.h"

#define ARGUMENTS_MAX 32
#define ARGUMENT_BYTES 128
#define TEXT_BYTES 1024

struct exec {
	u32 pid;
	u32 uid;
	/* after the call: of the file that was executed */
	char comm[COMM_BYTES];
	/* the arguments with blanks between them; what does not fit is left out */
	char args[TEXT_BYTES];
};

const struct exec *const unused_exec __attribute__((used));

struct {
	MAP_NUMBER(type, MAP_RINGBUF);
	MAP_NUMBER(max_entries, 1024 * 1024);
} execs SEC(".maps");

/* process → its call under way */
struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, 1024);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct exec);
} calls SEC(".maps");

static const struct exec EMPTY;

SEC("tracepoint/syscalls/sys_enter_execve")
int begin_exec(struct sys_enter_execve *ctx)
{
	u32 pid = get_current_pid_tgid() >> 32;
	const char *argument;
	struct exec *exec;
	u32 end = 0;
	long length;
	int index;

	map_update(&calls, &pid, &EMPTY, UPDATE_ANY);
	exec = map_lookup(&calls, &pid);
	if (!exec)
		return 0;
	exec->pid = pid;
	exec->uid = get_current_uid_gid();
	for (index = 0; index < ARGUMENTS_MAX; index++) {
		if (probe_read_user(&argument, sizeof(argument), ctx->argv + index) || !argument)
			break;
		if (end > TEXT_BYTES - ARGUMENT_BYTES)
			break;
		length = probe_read_user_str(exec->args + end, ARGUMENT_BYTES, argument);
		if (length < 1 || length > ARGUMENT_BYTES)
			break;
		end += length;
		/* in place of the zero */
		exec->args[(end - 1) & (TEXT_BYTES - 1)] = ' ';
	}
	if (end)
		exec->args[(end - 1) & (TEXT_BYTES - 1)] = 0;
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_execve")
int end_exec(struct sys_exit *ctx)
{
	u32 pid = get_current_pid_tgid() >> 32;
	struct exec *exec = map_lookup(&calls, &pid);

	if (!exec)
		return 0;
	if (!ctx->ret) {
		get_current_comm(exec->comm, sizeof(exec->comm));
		ringbuf_output(&execs, exec, sizeof(*exec), 0);
	}
	map_delete(&calls, &pid);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
