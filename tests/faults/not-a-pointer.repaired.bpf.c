// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

int last_pid;

SEC("tracepoint/raw_syscalls/sys_enter")
int read_task(struct trace_event_raw_sys_enter *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	bpf_probe_read_kernel(&last_pid, sizeof(last_pid), &task->pid);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
