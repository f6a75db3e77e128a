// SPDX-License-Identifier: MIT
/*
 * A chain of tail calls. A prog array's programs are all loaded, so it has an object of its own.
 * Rebuild: bench/workloads/build.sh
 */
#include "event.h"

struct {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} totals SEC(".maps");

/* A program that calls itself by tail calls until the limit of 33 ends the chain: 34 runs an event. In the kernel an event is a run. */
int tail_calls(struct event *e);
int once_tail_calls(void *ctx);

struct {
	__uint(type, 3);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(struct event *));
} chain SEC(".maps") = {
	.values = { [0] = (void *)&tail_calls },
};

struct {
	__uint(type, 3);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(void *));
} kernel_chain SEC(".maps") = {
	.values = { [0] = (void *)&once_tail_calls },
};

static __always_inline void add_link(void)
{
	u32 key = 3;
	u64 *total = bpf_map_lookup_elem(&totals, &key);

	if (total)
		*total += 1;
}

SEC("tracepoint/bench/event") int tail_calls(struct event *e)
{
	add_link();
	bpf_tail_call(e, &chain, 0);
	return 0;
}

SEC("xdp") int once_tail_calls(void *ctx)
{
	add_link();
	bpf_tail_call(ctx, &kernel_chain, 0);
	return 2;
}

char _license[] SEC("license") = "GPL";
