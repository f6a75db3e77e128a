/* SPDX-License-Identifier: MIT
 * requests: HTTP requests of a Node service, counted by status and timed; slow ones, and one in so many of the others, are
 * reported through a ring buffer. Runs on a tracepoint that the service defines: http_request(method, status, duration_ns).
 */
#include "../include/bpf.h"

struct report {
	u64 duration_ns;
	u32 status;
	char method[12];
};

/* keeps the type of the records in the object's BTF */
const struct report *unused_report __attribute__((unused));

/* Requests that take longer are reported. The service may set both before it loads the object. */
const volatile u64 slow_ns = 50 * 1000 * 1000;
/* and every so many-th of the others, 0: none */
const volatile u32 sample_every = 0;

u32 since_sample;

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
} reports SEC(".maps");

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

static ALWAYS_INLINE int is_reported(u64 duration)
{
	if (duration >= slow_ns)
		return 1;
	if (!sample_every || ++since_sample < sample_every)
		return 0;
	since_sample = 0;
	return 1;
}

SEC("tp_btf/http_request")
int on_request(u64 *args)
{
	const char *method = (const char *)args[0];
	u32 status = args[1], zero = 0, slot;
	u64 duration = args[2], one = 1, *count;
	struct report *report;
	struct hist *hist;

	count = map_lookup(&by_status, &status);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		map_update(&by_status, &status, &one, UPDATE_ANY);

	hist = map_lookup(&latency, &zero);
	slot = log2_of(duration / 1000);
	if (hist && slot < 32)
		hist->slots[slot]++;

	if (!is_reported(duration))
		return 0;
	report = ringbuf_reserve(&reports, sizeof(*report), 0);
	if (!report)
		return 0;
	report->duration_ns = duration;
	report->status = status;
	probe_read_kernel_str(report->method, sizeof(report->method), method);
	ringbuf_submit(report, 0);
	return 0;
}

const char LICENSE[] SEC("license") = "GPL";
