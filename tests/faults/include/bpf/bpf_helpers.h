/* SPDX-License-Identifier: MIT
 *
 * What the programs of this folder need of libbpf's conventions and of the helpers, and nothing more.
 */
#ifndef BPF_HELPERS_H
#define BPF_HELPERS_H

#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))

#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_trace_printk)(const char *format, __u32 bytes, ...) = (void *)6;
static __u32 (*const bpf_get_prandom_u32)(void) = (void *)7;
static __u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*const bpf_get_current_comm)(void *to, __u32 bytes) = (void *)16;
static __u64 (*const bpf_get_current_task)(void) = (void *)35;
static long (*const bpf_skb_change_tail)(struct __sk_buff *skb, __u32 bytes, __u64 flags) = (void *)38;
static long (*const bpf_xdp_adjust_head)(struct xdp_md *ctx, int bytes) = (void *)44;
static long (*const bpf_xdp_adjust_tail)(struct xdp_md *ctx, int bytes) = (void *)65;
static long (*const bpf_probe_read_user)(void *to, __u32 bytes, const void *from) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *to, __u32 bytes, const void *from) = (void *)113;
static void *(*const bpf_ringbuf_reserve)(void *map, __u64 bytes, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *record, __u64 flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *record, __u64 flags) = (void *)133;
static long (*const bpf_loop)(__u32 rounds, void *callback, void *ctx, __u64 flags) = (void *)181;

#endif
