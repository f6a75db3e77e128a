// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("xdp")
int drop_unterminated(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u8 *last = data + ((data_end - data - 1) & 0x7ff);

	if ((void *)(last + 1) > data_end)
		return XDP_PASS;
	return *last ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
