// Counts under a spin lock, in a map's value and in a data section of its own. Built by build.sh.
#include "../../object/fixtures/fixture.h"

#define ARRAY 2
static long (*const bpf_spin_lock)(void *lock) = (void *)93;
static long (*const bpf_spin_unlock)(void *lock) = (void *)94;
struct bpf_spin_lock { u32 word; };

struct value {
	u64 packets;
	struct bpf_spin_lock lock;
	u64 bytes;
};
struct {
	NUMBER(type, ARRAY);
	NUMBER(max_entries, 2);
	TYPE(key, u32);
	TYPE(value, struct value);
} totals SEC(".maps");

SEC(".data.guarded") struct bpf_spin_lock lock;
SEC(".data.guarded") u64 runs;

SEC("tc") int count(void *ctx)
{
	u32 key = 1;
	struct value *value = map_lookup(&totals, &key);
	if (!value) return 0;
	bpf_spin_lock(&value->lock);
	value->packets += 1;
	value->bytes += 100;
	bpf_spin_unlock(&value->lock);
	bpf_spin_lock(&lock);
	runs += 1;
	bpf_spin_unlock(&lock);
	return value->packets;
}

LICENSE;
