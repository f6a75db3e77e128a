// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, char[256]);
} buffers SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_write")
int copy_written(struct trace_event_raw_sys_enter *ctx)
{
	__u32 zero = 0;
	__u64 length = ctx->args[2];
	char *buffer;

	buffer = bpf_map_lookup_elem(&buffers, &zero);
	if (!buffer)
		return 0;
	if (length > 256)
		length = 256;
	bpf_probe_read_user(buffer, length, (void *)ctx->args[1]);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
