/* SPDX-License-Identifier: MIT
 * A USDT program as tools write it, built by the test with the libbpf that the machine has: nothing of its usdt.bpf.h is changed.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#ifdef __TARGET_ARCH_arm64
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};
#else
#include <linux/ptrace.h>
#endif
#include <bpf/bpf_helpers.h>
#include <bpf/usdt.bpf.h>

char LICENSE[] SEC("license") = "GPL";

struct found {
	long a, b, c, d;
	long cookie;
	int count;
};

struct found *found_type;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} records SEC(".maps");

SEC("usdt/./shop:shop:order")
int BPF_USDT(on_order, long a, long b, long c, long d)
{
	struct found *found = bpf_ringbuf_reserve(&records, sizeof(*found), 0);

	if (!found)
		return 0;
	found->a = a;
	found->b = b;
	found->c = c;
	found->d = d;
	found->cookie = bpf_usdt_cookie(ctx);
	found->count = bpf_usdt_arg_cnt(ctx);
	bpf_ringbuf_submit(found, 0);
	return 0;
}
