// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

__u8 longest;

SEC("tracepoint/raw_syscalls/sys_enter")
int last_letter(struct trace_event_raw_sys_enter *ctx)
{
	char command[16] = {};
	__u32 at = ctx->args[0] & 15;

	bpf_get_current_comm(command, sizeof(command));
	longest = command[at];
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
