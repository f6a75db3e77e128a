// SPDX-License-Identifier: MIT
/*
 * Tracepoint throughput: a counter, and a record for every event, on the sched_switch events of a capture.
 * Rebuild: bench/workloads/build.sh
 */
#include "event.h"

/* As the tracepoint's format file has it. */
struct sched_switch {
	u64 common;
	char prev_comm[16];
	int prev_pid;
	int prev_prio;
	s64 prev_state;
	char next_comm[16];
	int next_pid;
	int next_prio;
};

struct switched {
	u64 time;
	int prev_pid;
	int next_pid;
	char next_comm[16];
};

const struct switched *unused_switched __attribute__((unused));

struct {
	__uint(type, 2);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} count SEC(".maps");

struct {
	__uint(type, 27);
	__uint(max_entries, 4 * 1024 * 1024);
} switches SEC(".maps");

SEC("tracepoint/sched/sched_switch") int counter(struct sched_switch *e)
{
	u32 key = 0;
	u64 *total = bpf_map_lookup_elem(&count, &key);

	if (total)
		*total += 1;
	return 0;
}

SEC("tracepoint/sched/sched_switch") int record(struct sched_switch *e)
{
	struct switched *s = bpf_ringbuf_reserve(&switches, sizeof(*s), 0);

	if (!s)
		return 0;
	s->time = bpf_ktime_get_ns();
	s->prev_pid = e->prev_pid;
	s->next_pid = e->next_pid;
	__builtin_memcpy(s->next_comm, e->next_comm, sizeof(s->next_comm));
	bpf_ringbuf_submit(s, 0);
	return 0;
}

char _license[] SEC("license") = "GPL";
