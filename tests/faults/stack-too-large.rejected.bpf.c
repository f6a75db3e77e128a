// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

static __noinline int read_path(__u64 from)
{
	char path[320];

	bpf_probe_read_kernel(path, sizeof(path), (void *)from);
	return path[0];
}

SEC("tc")
int look_up(struct __sk_buff *skb)
{
	char name[256];

	bpf_probe_read_kernel(name, sizeof(name), (void *)(long)skb->mark);
	return name[0] + read_path(skb->mark);
}

char LICENSE[] SEC("license") = "GPL";
