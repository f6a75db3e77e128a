/* SPDX-License-Identifier: MIT
 * Programs whose sections say where they attach, from the folder of the programs that they probe.
 */
#include "../../../examples/include/bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(max_entries, 4);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} hits SEC(".maps");

static int count(u32 key)
{
	u64 *value = map_lookup(&hits, &key);

	if (value)
		__sync_fetch_and_add(value, 1);
	return 0;
}

SEC("usdt/./orders:shop:order")
int on_order(void *ctx)
{
	return count(0);
}

SEC("uprobe/./libparts.so:combine")
int on_combine(void *ctx)
{
	return count(1);
}

SEC("uretprobe/./libparts.so:same")
int on_same_return(void *ctx)
{
	return count(2);
}

SEC("uprobe.multi/./libparts.so:*_log")
int on_log(void *ctx)
{
	return count(3);
}
