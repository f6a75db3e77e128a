// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

__u64 passed;

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	passed += 1;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
