// SPDX-License-Identifier: MIT
/*
 * What tools do with an event, each reduced to its hot path: execsnoop's record, runqlat, biolatency and syscount, which pair two
 * events by a key and put the time between them into a histogram or a table, a filter that passes 1 %, and a
 * small program of which many are put on one event.
 * Rebuild: bench/workloads/build.sh
 */
#include "event.h"

#define HASH(name, entries, key_type, value_type)                              \
	struct {                                                               \
		__uint(type, 1);                                               \
		__uint(max_entries, entries);                                  \
		__type(key, key_type);                                         \
		__type(value, value_type);                                     \
	} name SEC(".maps")

struct hist {
	u32 slots[27];
};

struct request {
	u64 sector;
	u32 device;
	u32 padding;
};

struct calls {
	u64 count;
	u64 ns;
};

HASH(queued, 10240, u32, u64);
HASH(waits, 64, u32, struct hist);
HASH(issued, 10240, struct request, u64);
HASH(disks, 256, u32, struct hist);
HASH(entered, 10240, u32, u64);
HASH(calls, 1024, u32, struct calls);

struct {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, u32);
	__type(value, u64);
} totals SEC(".maps");

struct {
	__uint(type, 27);
	__uint(max_entries, 4 * 1024 * 1024);
} records SEC(".maps");

struct exec {
	u64 time;
	u32 pid;
	u32 tgid;
	u32 uid;
	u32 kind;
	char comm[16];
	char filename[64];
};

/* A record of 104 bytes for every event: ambient values, a name and a string. */
static __always_inline long exec_record_body(void *ctx, struct event *e)
{
	struct exec *r = bpf_ringbuf_reserve(&records, sizeof(*r), 0);
	u64 id;

	if (!r)
		return 0;
	id = bpf_get_current_pid_tgid();
	r->time = e->time;
	r->pid = id;
	r->tgid = id >> 32;
	r->uid = bpf_get_current_uid_gid();
	r->kind = e->kind;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	bpf_probe_read_kernel_str(r->filename, sizeof(r->filename), e->comm);
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline void count_log2(struct hist *h, u64 v)
{
	u32 slot = 0, x = v >> 32 ? 0xffffffff : v;

	slot = (x > 0xFFFF) << 4;
	x >>= slot;
	if (x > 0xFF) {
		x >>= 8;
		slot |= 8;
	}
	if (x > 0xF) {
		x >>= 4;
		slot |= 4;
	}
	if (x > 0x3) {
		x >>= 2;
		slot |= 2;
	}
	slot |= x >> 1;
	if (slot > 26)
		slot = 26;
	h->slots[slot] += 1;
}

static __always_inline void count_in(void *histograms, u32 key, u64 v)
{
	struct hist *h = bpf_map_lookup_elem(histograms, &key);

	if (!h) {
		struct hist zero = {};

		bpf_map_update_elem(histograms, &key, &zero, BPF_ANY);
		h = bpf_map_lookup_elem(histograms, &key);
		if (!h)
			return;
	}
	count_log2(h, v);
}

/* Half of the events enqueue a thread, half switch to one. */
static __always_inline long runqlat_body(void *ctx, struct event *e)
{
	u32 pid = e->pid;
	u64 now = e->time, *since;

	if (e->kind & 1) {
		bpf_map_update_elem(&queued, &pid, &now, BPF_ANY);
		return 0;
	}
	since = bpf_map_lookup_elem(&queued, &pid);
	if (!since)
		return 0;
	count_in(&waits, 0, (now - *since) / 1000);
	bpf_map_delete_elem(&queued, &pid);
	return 0;
}

/* Half of the events issue a request, half complete one; 16-byte keys, a histogram for each of 16 disks. */
static __always_inline long biolatency_body(void *ctx, struct event *e)
{
	struct request request = { .sector = e->pid * 8, .device = e->pid & 15 };
	u64 now = e->time, *since;

	if (e->kind & 1) {
		bpf_map_update_elem(&issued, &request, &now, BPF_ANY);
		return 0;
	}
	since = bpf_map_lookup_elem(&issued, &request);
	if (!since)
		return 0;
	count_in(&disks, request.device, (now - *since) / 1000);
	bpf_map_delete_elem(&issued, &request);
	return 0;
}

/* Half of the events enter a system call, half leave it; calls and time by the call's number, 256 of them. */
static __always_inline long syscount_body(void *ctx, struct event *e)
{
	u32 pid = e->pid, number = e->pid & 255;
	u64 now = e->time, *since;
	struct calls *known;

	if (e->kind & 1) {
		bpf_map_update_elem(&entered, &pid, &now, BPF_ANY);
		return 0;
	}
	since = bpf_map_lookup_elem(&entered, &pid);
	if (!since)
		return 0;
	known = bpf_map_lookup_elem(&calls, &number);
	if (known) {
		known->count += 1;
		known->ns += now - *since;
	} else {
		struct calls first = { 1, now - *since };

		bpf_map_update_elem(&calls, &number, &first, BPF_ANY);
	}
	return 0;
}

/* One of a hundred events becomes a record of 104 bytes. */
static __always_inline long filter_body(void *ctx, struct event *e)
{
	if (e->kind >= 0xffffffff / 100)
		return 0;
	return exec_record_body(ctx, e);
}

static __always_inline long one_of_many_body(void *ctx, struct event *e)
{
	u32 key = e->kind & 3;
	u64 *total = bpf_map_lookup_elem(&totals, &key);

	if (total)
		*total += e->bytes;
	return 0;
}

WORKLOAD(exec_record)
WORKLOAD(runqlat)
WORKLOAD(biolatency)
WORKLOAD(syscount)
WORKLOAD(filter)
WORKLOAD(one_of_many)

struct sample {
	u64 time;
	u32 pid;
	u32 kind;
	u64 bytes;
	char comm[16];
	u64 args[2];
	u64 reserved;
};

/* So that the BTF has it: readers want types. */
const struct sample *unused_sample __attribute__((unused));

struct {
	__uint(type, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} samples SEC(".maps");

static __always_inline void take_sample(struct sample *s, struct event *e)
{
	s->time = e->time;
	s->pid = e->pid;
	s->kind = e->kind;
	s->bytes = e->bytes;
	__builtin_memcpy(s->comm, e->comm, sizeof(s->comm));
	s->args[0] = e->args[0];
	s->args[1] = e->args[1];
	s->reserved = 0;
}

/* Records of 64 bytes that wake their reader, for what reading costs and how long a record is on its way. */
SEC("tracepoint/bench/event") int ring_sample(struct event *e)
{
	struct sample *s = bpf_ringbuf_reserve(&records, sizeof(*s), 0);

	if (!s)
		return 0;
	take_sample(s, e);
	bpf_ringbuf_submit(s, 0);
	return 0;
}

SEC("tracepoint/bench/event") int perf_sample(struct event *e)
{
	struct sample s;

	take_sample(&s, e);
	bpf_perf_event_output(e, &samples, BPF_F_CURRENT_CPU, &s, sizeof(s));
	return 0;
}

char _license[] SEC("license") = "GPL";
