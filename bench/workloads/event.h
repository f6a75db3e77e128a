/* SPDX-License-Identifier: MIT
 *
 * What the workloads share: the event that they run over, and the macros that make of each body the program NAME, which bpfjit
 * runs over an array of events, and the programs kernel_NAME and once_NAME, which run the same body in the kernel.
 */
#ifndef BENCH_EVENT_H
#define BENCH_EVENT_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
static long (*const bpf_get_current_comm)(void *to, u32 size) = (void *)16;
static long (*const bpf_perf_event_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static long (*const bpf_probe_read_kernel_str)(void *to, u32 size, const void *from) = (void *)115;
static void *(*const bpf_ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *data, u64 flags) = (void *)132;
static long (*const bpf_loop)(u32 count, void *callback, void *ctx, u64 flags) = (void *)181;

enum { EVENTS = 16384, KEYS = 1024, BPF_ANY = 0, BPF_RB_NO_WAKEUP = 1 };
#define BPF_F_CURRENT_CPU 0xffffffffULL

/* The first 8 bytes are the kernel's own in a tracepoint's payload. */
struct event {
	u64 common;
	u32 pid;
	u32 kind;
	u64 time;
	u64 bytes;
	char comm[16];
	u64 args[2];
};

/* The events of the kernel's side; bpfjit's come from its event source. */
struct event events[EVENTS];

struct loop {
	void *ctx;
};

#define WORKLOAD(name) COMPARED(name, name, EVENTS)

/* NAME in bpfjit, OTHER in the kernel, over so many events: rings must hold what two runs write. */
#define COMPARED(name, other, count)                                                  \
	SEC("tracepoint/bench/event") int name(struct event *e)                \
	{                                                                      \
		return name##_body(e, e);                                      \
	}                                                                      \
	static long name##_step(u32 i, struct loop *loop)                      \
	{                                                                      \
		other##_body(loop->ctx, &events[i & (EVENTS - 1)]);            \
		return 0;                                                      \
	}                                                                      \
	SEC("xdp") int kernel_##name(void *ctx)                                \
	{                                                                      \
		struct loop loop = { ctx };                                    \
		bpf_loop(count, name##_step, &loop, 0);                        \
		return 2;                                                      \
	}                                                                      \
	SEC("xdp") int once_##name(void *ctx)                                  \
	{                                                                      \
		other##_body(ctx, &events[1]);                                 \
		return 2;                                                      \
	}

#endif
