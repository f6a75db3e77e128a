// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

__u64 sum;

static int add_one(__u32 i, void *ctx)
{
	sum += bpf_get_prandom_u32() & i;
	return 0;
}

SEC("xdp")
int add_up(struct xdp_md *ctx)
{
	bpf_loop(1000000, add_one, NULL, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
