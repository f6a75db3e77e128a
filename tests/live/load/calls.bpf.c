/* SPDX-License-Identifier: MIT
 * Counts getppid() of each process, and whether time ever goes back.
 */
#include "../../../examples/include/bpf.h"

struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, 1024);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} calls SEC(".maps");

u64 last_time;
u64 backwards;

SEC("tracepoint/syscalls/sys_enter_getppid")
int count_call(struct sys_exit *ctx)
{
	u32 pid = get_current_pid_tgid() >> 32;
	u64 now = ktime_get_ns();
	u64 *count = map_lookup(&calls, &pid);
	u64 one = 1;

	if (now < last_time)
		backwards++;
	last_time = now;
	if (count)
		++*count;
	else
		map_update(&calls, &pid, &one, UPDATE_ANY);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
