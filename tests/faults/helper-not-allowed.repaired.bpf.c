// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("xdp")
int shorten(struct xdp_md *ctx)
{
	bpf_xdp_adjust_tail(ctx, -64);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
