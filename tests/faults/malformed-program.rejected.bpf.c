// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	asm volatile("goto +1; r0 = 1;" ::: "r0");
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
