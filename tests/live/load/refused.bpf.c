/* SPDX-License-Identifier: MIT
 * Programs that no live process of any kernel, or of one without kprobe events, runs.
 */
#include "../../../examples/include/bpf.h"

SEC("tracepoint/syscalls/sys_enter_of_no_kernel")
int no_event(void *ctx)
{
	return 0;
}

SEC("raw_tp/cgroup_mkdir")
int no_arguments(void *ctx)
{
	return 0;
}

SEC("kprobe/do_unlinkat")
int no_kprobe(void *ctx)
{
	return 0;
}

SEC("raw_tp/sched_process_exec")
int count_exec(void *ctx)
{
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
