/* SPDX-License-Identifier: MIT
 * countcomm: how often each command was put on a CPU.
 */
#include "include/bpf.h"

struct command {
	char comm[COMM_BYTES];
};

struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, 4096);
	MAP_TYPE(key, struct command);
	MAP_TYPE(value, u64);
} counts SEC(".maps");

SEC("tracepoint/sched/sched_switch")
int count_switch(struct sched_switch *ctx)
{
	struct command key;
	u64 one = 1;
	u64 *count;

	__builtin_memcpy(key.comm, ctx->next_comm, COMM_BYTES);
	count = map_lookup(&counts, &key);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		map_update(&counts, &key, &one, UPDATE_NOEXIST);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
