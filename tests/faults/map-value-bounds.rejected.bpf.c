// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct histogram {
	__u64 slots[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct histogram);
} histograms SEC(".maps");

SEC("tracepoint/raw_syscalls/sys_enter")
int count_calls(struct trace_event_raw_sys_enter *ctx)
{
	__u32 zero = 0;
	__u32 slot = ctx->id;
	struct histogram *histogram;

	histogram = bpf_map_lookup_elem(&histograms, &zero);
	if (!histogram)
		return 0;
	if (slot > 16)
		slot = 16;
	histogram->slots[slot] += 1;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
