// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("tc")
int truncate_packet(struct __sk_buff *skb)
{
	if (skb->len > 128)
		skb->len = 128;
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
