// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int forbid_telnet(struct bpf_sock_addr *ctx)
{
	if (ctx->user_port == 0x1700)
		return -1;
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
