// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("xdp")
int shorten(struct xdp_md *ctx)
{
	bpf_skb_change_tail((void *)ctx, 64, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
