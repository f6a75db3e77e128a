// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

__u32 drawn;

SEC("xdp")
int draw_even(struct xdp_md *ctx)
{
	__u32 number, tries = 0;

	do
		number = bpf_get_prandom_u32();
	while ((number & 1) && ++tries < 8);
	drawn = number;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
