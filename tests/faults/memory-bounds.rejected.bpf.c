// SPDX-License-Identifier: MIT
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct event {
	__u64 time;
	__u32 pid;
	__u32 syscall;
};

SEC("tracepoint/raw_syscalls/sys_enter")
int report_call(struct trace_event_raw_sys_enter *ctx)
{
	struct event *event;

	event = bpf_ringbuf_reserve(&events, sizeof(event), 0);
	if (!event)
		return 0;
	event->time = bpf_ktime_get_ns();
	event->pid = bpf_get_current_pid_tgid() >> 32;
	event->syscall = ctx->id;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
