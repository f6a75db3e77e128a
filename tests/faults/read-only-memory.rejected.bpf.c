// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, __u64);
} limits SEC(".maps");

SEC("xdp")
int limit_packets(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *left;

	left = bpf_map_lookup_elem(&limits, &zero);
	if (!left || *left == 0)
		return XDP_DROP;
	*left -= 1;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
