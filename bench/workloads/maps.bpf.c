// SPDX-License-Identifier: MIT
/*
 * Cost of a map's operations against its size, which is set before the load. Keys are made by the program, so that every event
 * has another one: ascending ones fill the map, then random ones among them are looked up, updated, or deleted and put back.
 * Rebuild: bench/workloads/build.sh
 */
#include "event.h"

struct {
	__uint(type, 1);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} elements SEC(".maps");

enum { NEXT, STATE, SUM };

struct {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} words SEC(".maps");

/* in `elements`; set before the load */
const volatile u32 count = 1024;

static __always_inline u64 *word(u32 index)
{
	return bpf_map_lookup_elem(&words, &index);
}

static __always_inline u32 random_key(void)
{
	u64 *state = word(STATE);

	if (!state)
		return 0;
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*state >> 32) * count >> 32;
}

static __always_inline long fill_body(void *ctx, struct event *e)
{
	u64 *next = word(NEXT), one = 1;
	u32 key;

	if (!next)
		return 0;
	key = *next % count;
	*next += 1;
	bpf_map_update_elem(&elements, &key, &one, BPF_ANY);
	return 0;
}

/* What the keys cost. */
static __always_inline long keys_body(void *ctx, struct event *e)
{
	u64 *sum = word(SUM);

	if (sum)
		*sum += random_key();
	return 0;
}

static __always_inline long lookup_body(void *ctx, struct event *e)
{
	u32 key = random_key();
	u64 *value = bpf_map_lookup_elem(&elements, &key), *sum = word(SUM);

	if (value && sum)
		*sum += *value;
	return 0;
}

static __always_inline long update_body(void *ctx, struct event *e)
{
	u32 key = random_key();
	u64 value = key;

	bpf_map_update_elem(&elements, &key, &value, BPF_ANY);
	return 0;
}

static __always_inline long replace_body(void *ctx, struct event *e)
{
	u32 key = random_key();
	u64 value = key;

	bpf_map_delete_elem(&elements, &key);
	bpf_map_update_elem(&elements, &key, &value, BPF_ANY);
	return 0;
}

WORKLOAD(fill)
WORKLOAD(keys)
WORKLOAD(lookup)
WORKLOAD(update)
WORKLOAD(replace)

char _license[] SEC("license") = "GPL";
