// SPDX-License-Identifier: MIT
/*
 * Packets into the perf buffer, behind 16 bytes of meta: bpf_perf_event_output with a length in the upper half of its flags.
 * packet_N copies N bytes of the packet; kernel_packet_N does it so often inside bpf_loop.
 * Rebuild: bench/workloads/build.sh
 */
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define BPF_F_CURRENT_CPU 0xffffffffULL

static long (*const bpf_perf_event_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static long (*const bpf_loop)(u32 count, void *callback, void *ctx, u64 flags) = (void *)181;

struct {
	__uint(type, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} packets SEC(".maps");

struct meta {
	u32 device;
	u32 length;
	u64 number;
};

struct xdp_md {
	u32 data;
	u32 data_end;
	u32 data_meta;
	u32 ingress_ifindex;
};

struct loop {
	struct xdp_md *ctx;
};

static __always_inline void output(struct xdp_md *ctx, u64 bytes, u64 number)
{
	struct meta meta = { ctx->ingress_ifindex, bytes, number };

	bpf_perf_event_output(ctx, &packets, BPF_F_CURRENT_CPU | bytes << 32, &meta, sizeof(meta));
}

/* As many as a buffer of 4 MB holds of two runs. */
#define PACKET(bytes, count)                                                   \
	SEC("xdp") int packet_##bytes(struct xdp_md *ctx)                      \
	{                                                                      \
		output(ctx, bytes, 1);                                         \
		return 2;                                                      \
	}                                                                      \
	static long packet_##bytes##_step(u32 i, struct loop *loop)            \
	{                                                                      \
		output(loop->ctx, bytes, i);                                   \
		return 0;                                                      \
	}                                                                      \
	SEC("xdp") int kernel_packet_##bytes(struct xdp_md *ctx)               \
	{                                                                      \
		struct loop loop = { ctx };                                    \
		bpf_loop(count, packet_##bytes##_step, &loop, 0);              \
		return 2;                                                      \
	}

PACKET(16, 4096)
PACKET(64, 4096)
PACKET(256, 4096)
PACKET(1500, 1024)

char LICENSE[] SEC("license") = "GPL";
