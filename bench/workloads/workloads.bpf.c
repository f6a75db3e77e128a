// SPDX-License-Identifier: MIT
/*
 * The benchmark's workloads. Each body is compiled twice from one source: as a tracepoint program NAME, which bpfjit runs over an
 * array of events, and as an XDP program kernel_NAME, which runs the same body over the same events inside bpf_loop in the kernel.
 * Rebuild: bench/workloads/build.sh
 */
#include "../../include/bpfjit_helpers.h"
#include "event.h"

struct {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

struct {
	__uint(type, 6);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} percpu_counters SEC(".maps");

struct {
	__uint(type, 1);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u64);
} by_pid SEC(".maps");

struct {
	__uint(type, 5);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u64);
} by_pid_percpu SEC(".maps");

struct {
	__uint(type, 9);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u64);
} by_pid_lru SEC(".maps");

/* Half as many entries as there are keys. */
struct {
	__uint(type, 9);
	__uint(max_entries, 512);
	__type(key, u32);
	__type(value, u64);
} full_lru SEC(".maps");

struct comm_key {
	char comm[16];
};

struct {
	__uint(type, 1);
	__uint(max_entries, 16384);
	__type(key, struct comm_key);
	__type(value, u64);
} by_comm SEC(".maps");

struct hist {
	u64 slots[64];
};

struct {
	__uint(type, 2);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct hist);
} histograms SEC(".maps");

struct {
	__uint(type, 27);
	__uint(max_entries, 4 * 1024 * 1024);
} records SEC(".maps");

struct {
	__uint(type, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct record {
	u64 time;
	u32 pid;
	u32 kind;
	u64 bytes;
	char comm[16];
	u64 args[2];
	u64 reserved;
};

static __always_inline long empty_body(void *ctx, struct event *e)
{
	return 0;
}

static __always_inline long counter_body(void *ctx, struct event *e)
{
	u32 key = 1;
	u64 *count = bpf_map_lookup_elem(&counters, &key);

	if (count)
		*count += 1;
	return 0;
}

static __always_inline long counter_atomic_body(void *ctx, struct event *e)
{
	u32 key = 1;
	u64 *count = bpf_map_lookup_elem(&counters, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
	return 0;
}

static __always_inline long percpu_counter_body(void *ctx, struct event *e)
{
	u32 key = 1;
	u64 *count = bpf_map_lookup_elem(&percpu_counters, &key);

	if (count)
		*count += 1;
	return 0;
}

static __always_inline long hash_count_body(void *ctx, struct event *e)
{
	u32 key = e->pid;
	u64 *count = bpf_map_lookup_elem(&by_pid, &key), one = 1;

	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&by_pid, &key, &one, BPF_ANY);
	return 0;
}

#define COUNT_BY_PID(name, map)                                                \
	static __always_inline long name##_body(void *ctx, struct event *e)    \
	{                                                                      \
		u32 key = e->pid;                                              \
		u64 *count = bpf_map_lookup_elem(&map, &key), one = 1;         \
		if (count)                                                     \
			*count += 1;                                           \
		else                                                           \
			bpf_map_update_elem(&map, &key, &one, BPF_ANY);        \
		return 0;                                                      \
	}
COUNT_BY_PID(percpu_hash_count, by_pid_percpu)
COUNT_BY_PID(lru_count, by_pid_lru)
COUNT_BY_PID(lru_full, full_lru)

static __always_inline long hash_count_atomic_body(void *ctx, struct event *e)
{
	u32 key = e->pid;
	u64 *count = bpf_map_lookup_elem(&by_pid, &key), one = 1;

	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&by_pid, &key, &one, BPF_ANY);
	return 0;
}

static __always_inline long hash_update_body(void *ctx, struct event *e)
{
	u32 key = e->pid;
	u64 value = e->time;

	bpf_map_update_elem(&by_pid, &key, &value, BPF_ANY);
	return 0;
}

static __always_inline long hash_comm_body(void *ctx, struct event *e)
{
	struct comm_key key;
	u64 *count, one = 1;

	__builtin_memcpy(&key, e->comm, sizeof(key));
	count = bpf_map_lookup_elem(&by_comm, &key);
	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&by_comm, &key, &one, BPF_ANY);
	return 0;
}

static __always_inline void fill(struct record *r, struct event *e)
{
	r->time = e->time;
	r->pid = e->pid;
	r->kind = e->kind;
	r->bytes = e->bytes;
	__builtin_memcpy(r->comm, e->comm, sizeof(r->comm));
	r->args[0] = e->args[0];
	r->args[1] = e->args[1];
	r->reserved = 0;
}

/* Three of four events pass. */
static __always_inline long ring_body(void *ctx, struct event *e)
{
	struct record *r;

	if ((e->kind & 3) == 3)
		return 0;
	r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	if (!r)
		return 0;
	fill(r, e);
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline long perf_output_body(void *ctx, struct event *e)
{
	struct record r;

	fill(&r, e);
	bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &r, sizeof(r));
	return 0;
}

/* Records too large for the stack are made here. */
struct scratch {
	u64 words[188];
};

struct {
	__uint(type, 6);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Words of the event, over and over; the last 4 bytes of 1,500 are half a word. */
static __always_inline void fill_words(u64 *to, struct event *e, u32 bytes)
{
	u64 *from = (u64 *)e;

#pragma unroll
	for (u32 i = 0; i < bytes / 8; i++)
		to[i] = from[1 + i % 7];
	if (bytes % 8)
		((u32 *)to)[bytes / 4 - 1] = e->pid;
}

/*
 * A record of BYTES bytes, copied into the perf buffer, made in the perf buffer, made in the ring. A kernel cannot make it in
 * the perf buffer: what it is compared with copies.
 */
#define COPIED(bytes, room)                                                    \
	static __always_inline long copy_##bytes##_body(void *ctx, struct event *e) \
	{                                                                      \
		room                                                           \
		fill_words(words, e, bytes);                                   \
		bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, words, bytes); \
		return 0;                                                      \
	}
#define IN_PLACE(bytes)                                                        \
	static __always_inline long reserve_##bytes##_body(void *ctx, struct event *e) \
	{                                                                      \
		u64 *words = bpf_perf_reserve(&perf, bytes, BPF_F_CURRENT_CPU); \
		if (!words)                                                    \
			return 0;                                              \
		fill_words(words, e, bytes);                                   \
		bpf_perf_commit(words);                                        \
		return 0;                                                      \
	}
#define IN_RING(bytes)                                                         \
	static __always_inline long ring_##bytes##_body(void *ctx, struct event *e) \
	{                                                                      \
		u64 *words = bpf_ringbuf_reserve(&records, bytes, 0);          \
		if (!words)                                                    \
			return 0;                                              \
		fill_words(words, e, bytes);                                   \
		bpf_ringbuf_submit(words, BPF_RB_NO_WAKEUP);                   \
		return 0;                                                      \
	}
#define ON_STACK(bytes) u64 words[bytes / 8];
#define IN_MAP                                                                 \
	u32 key = 0;                                                           \
	u64 *words = bpf_map_lookup_elem(&scratches, &key);                    \
	if (!words)                                                            \
		return 0;

COPIED(16, ON_STACK(16))
COPIED(64, ON_STACK(64))
COPIED(256, ON_STACK(256))
COPIED(1500, IN_MAP)
IN_PLACE(16)
IN_PLACE(64)
IN_PLACE(256)
IN_PLACE(1500)
IN_RING(16)
IN_RING(64)
IN_RING(256)
IN_RING(1500)

static __always_inline u32 log2_of(u64 v)
{
	u32 r, shift, x = v >> 32;

	if (x) {
		r = 32;
	} else {
		r = 0;
		x = v;
	}
	shift = (x > 0xFFFF) << 4;
	x >>= shift;
	r |= shift;
	shift = (x > 0xFF) << 3;
	x >>= shift;
	r |= shift;
	shift = (x > 0xF) << 2;
	x >>= shift;
	r |= shift;
	shift = (x > 0x3) << 1;
	x >>= shift;
	r |= shift;
	r |= x >> 1;
	return r;
}

static __always_inline long histogram_body(void *ctx, struct event *e)
{
	u32 key = 0, slot = log2_of(e->bytes);
	struct hist *h = bpf_map_lookup_elem(&histograms, &key);

	if (h && slot < 64)
		h->slots[slot] += 1;
	return 0;
}

/* Mixes 256 bytes: four rounds over the event. */
static __always_inline u64 mixed(struct event *e)
{
	u64 hash = 0xcbf29ce484222325ULL, *words = (u64 *)e;

	for (int round = 0; round < 4; round++)
		for (int i = 1; i < 8; i++) {
			hash ^= words[i];
			hash *= 0x100000001b3ULL;
			hash ^= hash >> 29;
		}
	return hash;
}

static __always_inline long compute_body(void *ctx, struct event *e)
{
	u64 hash = mixed(e), *count;
	u32 key = 2;

	count = bpf_map_lookup_elem(&counters, &key);
	if (count)
		*count ^= hash;
	return 0;
}

static __always_inline long compute_percpu_body(void *ctx, struct event *e)
{
	u64 hash = mixed(e), *count;
	u32 key = 2;

	count = bpf_map_lookup_elem(&percpu_counters, &key);
	if (count)
		*count ^= hash;
	return 0;
}

WORKLOAD(empty)
WORKLOAD(counter)
WORKLOAD(counter_atomic)
WORKLOAD(percpu_counter)
WORKLOAD(hash_count)
WORKLOAD(hash_count_atomic)
WORKLOAD(percpu_hash_count)
WORKLOAD(lru_count)
WORKLOAD(lru_full)
WORKLOAD(hash_update)
WORKLOAD(hash_comm)
WORKLOAD(ring)
WORKLOAD(perf_output)
WORKLOAD(histogram)
WORKLOAD(compute)
WORKLOAD(compute_percpu)
WORKLOAD(copy_16)
WORKLOAD(copy_64)
COMPARED(copy_256, copy_256, 4096)
COMPARED(copy_1500, copy_1500, 1024)
COMPARED(reserve_16, copy_16, EVENTS)
COMPARED(reserve_64, copy_64, EVENTS)
COMPARED(reserve_256, copy_256, 4096)
COMPARED(reserve_1500, copy_1500, 1024)
WORKLOAD(ring_16)
WORKLOAD(ring_64)
COMPARED(ring_256, ring_256, 4096)
COMPARED(ring_1500, ring_1500, 1024)

char _license[] SEC("license") = "GPL";
