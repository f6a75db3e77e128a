// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

__u64 sum;

SEC("xdp")
int add_up(struct xdp_md *ctx)
{
	for (__u32 i = 0; i < 1000000; i++)
		sum += bpf_get_prandom_u32() & i;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
