// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

int parent;

SEC("tracepoint/raw_syscalls/sys_enter")
int read_task(struct trace_event_raw_sys_enter *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	bpf_probe_read_kernel(&parent, sizeof(parent), &task->tgid);
	return 0;
}

char LICENSE[] SEC("license") = "Proprietary";
