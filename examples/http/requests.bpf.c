/* SPDX-License-Identifier: MIT
 * requests: HTTP requests of a Node service, counted by status and timed, slow ones reported through a ring buffer.
 * Runs on a hook of the service's own; the struct is what the service fires it with.
 */
#include "../include/bpf.h"

struct request {
	/* in a tracepoint's record the kernel's own: the service leaves it 0 */
	struct trace_head head;
	u64 duration_ns;
	u32 status;
	char method[12];
};

struct slow {
	u64 duration_ns;
	u32 status;
	char method[12];
};

/* keeps the type of the records in the object's BTF */
const struct slow *unused_slow __attribute__((unused));

/* Requests that take longer are reported. The service may set it before it loads the object. */
const volatile u64 slow_ns = 50 * 1000 * 1000;

struct {
	MAP_NUMBER(type, MAP_HASH);
	MAP_NUMBER(max_entries, 1024);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, u64);
} by_status SEC(".maps");

struct hist {
	u64 slots[32];
};

/* log2 of µs */
struct {
	MAP_NUMBER(type, MAP_ARRAY);
	MAP_NUMBER(max_entries, 1);
	MAP_TYPE(key, u32);
	MAP_TYPE(value, struct hist);
} latency SEC(".maps");

struct {
	MAP_NUMBER(type, MAP_RINGBUF);
	MAP_NUMBER(max_entries, 64 * 1024);
} slow_requests SEC(".maps");

static ALWAYS_INLINE u32 log2_of(u64 value)
{
	u32 log = 0;

#pragma unroll
	for (int shift = 32; shift > 0; shift /= 2)
		if (value >> shift) {
			value >>= shift;
			log += shift;
		}
	return log;
}

SEC("tracepoint/http/request")
int on_request(struct request *ctx)
{
	u64 duration = ctx->duration_ns, one = 1, *count;
	u32 status = ctx->status, zero = 0, slot;
	struct hist *hist;
	struct slow *slow;

	count = map_lookup(&by_status, &status);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		map_update(&by_status, &status, &one, UPDATE_ANY);

	hist = map_lookup(&latency, &zero);
	slot = log2_of(duration / 1000);
	if (hist && slot < 32)
		hist->slots[slot]++;

	if (duration < slow_ns)
		return 0;
	slow = ringbuf_reserve(&slow_requests, sizeof(*slow), 0);
	if (!slow)
		return 0;
	slow->duration_ns = duration;
	slow->status = status;
	__builtin_memcpy(slow->method, ctx->method, sizeof(slow->method));
	ringbuf_submit(slow, 0);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
