// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

__u32 word;

SEC("tracepoint/raw_syscalls/sys_enter")
int second_letters(struct trace_event_raw_sys_enter *ctx)
{
	char command[16] = {};

	bpf_get_current_comm(command, sizeof(command));
	word = *(volatile __u32 *)(command + 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
