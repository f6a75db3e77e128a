/* SPDX-License-Identifier: MIT
 * runqlat: how long threads wait for a CPU once they could run, as a histogram of powers of two in microseconds.
 */
#include "include/bpf.h"

#define SLOTS 27
/* prev_state of a thread that could run on, and of one that was preempted */
#define STATE_RUNNING 0
#define STATE_PREEMPTED 0x100

struct hist {
	u32 slots[SLOTS];
};

/* thread → when it became able to run, in ns */
struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, 10240);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} starts SEC(".maps");

/* one histogram, under key 0 */
struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, 16);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct hist);
} hists SEC(".maps");

static const struct hist EMPTY;

static ALWAYS_INLINE u32 log2_u32(u32 value)
{
	u32 result = 0;

	if (value >> 16) {
		value >>= 16;
		result += 16;
	}
	if (value >> 8) {
		value >>= 8;
		result += 8;
	}
	if (value >> 4) {
		value >>= 4;
		result += 4;
	}
	if (value >> 2) {
		value >>= 2;
		result += 2;
	}
	return result + (value >> 1);
}

static ALWAYS_INLINE u32 log2_u64(u64 value)
{
	u32 high = value >> 32;

	return high ? 32 + log2_u32(high) : log2_u32(value);
}

static ALWAYS_INLINE int enqueue(u32 pid)
{
	u64 now;

	/* the idle thread never waits */
	if (!pid)
		return 0;
	now = ktime_get_ns();
	map_update(&starts, &pid, &now, UPDATE_ANY);
	return 0;
}

SEC("tracepoint/sched/sched_wakeup")
int handle_wakeup(struct sched_wakeup *ctx)
{
	return enqueue(ctx->pid);
}

SEC("tracepoint/sched/sched_wakeup_new")
int handle_wakeup_new(struct sched_wakeup *ctx)
{
	return enqueue(ctx->pid);
}

SEC("tracepoint/sched/sched_switch")
int handle_switch(struct sched_switch *ctx)
{
	u32 pid = ctx->next_pid;
	struct hist *hist;
	u32 zero = 0;
	u64 *start;
	s64 waited;
	u32 slot;

	/* it was taken off the CPU while it could still run: it waits again */
	if (ctx->prev_state == STATE_RUNNING || ctx->prev_state & STATE_PREEMPTED)
		enqueue(ctx->prev_pid);

	start = map_lookup(&starts, &pid);
	if (!start)
		return 0;
	waited = ktime_get_ns() - *start;
	map_delete(&starts, &pid);
	if (waited < 0)
		return 0;

	hist = map_lookup(&hists, &zero);
	if (!hist) {
		map_update(&hists, &zero, &EMPTY, UPDATE_NOEXIST);
		hist = map_lookup(&hists, &zero);
		if (!hist)
			return 0;
	}
	slot = log2_u64((u64)waited / 1000);
	if (slot >= SLOTS)
		slot = SLOTS - 1;
	__sync_fetch_and_add(&hist->slots[slot], 1);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
