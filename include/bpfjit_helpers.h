/* SPDX-License-Identifier: MIT
 *
 * Functions that bpfjit gives BPF programs beyond the kernel's. They are weak: an object that asks bpf_ksym_exists(), or
 * compares their address with NULL, before it calls one also loads in a kernel, which has none of them, and goes the
 * other way there.
 *
 *	struct event *e = bpf_perf_reserve(&events, sizeof(*e), BPF_F_CURRENT_CPU);
 *	if (!e)
 *		return 0;	// no room: counted as lost
 *	e->pid = pid;
 *	bpf_perf_commit(e);
 */
#ifndef BPFJIT_HELPERS_H
#define BPFJIT_HELPERS_H

#define BPFJIT_KFUNC __attribute__((weak, section(".ksyms")))

/*
 * `size` bytes, a constant, inside the perf buffer of a BPF_MAP_TYPE_PERF_EVENT_ARRAY, or NULL. `flags` is BPF_F_CURRENT_CPU
 * or an index, as for bpf_perf_event_output(). The bytes are aligned to 4 and hold what was there before: fill them all.
 * Every path must commit or discard them. The reader sees records in the order in which they were reserved.
 */
extern void *bpf_perf_reserve(void *map, unsigned long long size, unsigned long long flags) BPFJIT_KFUNC;
/* Shows the record to the reader. */
extern void bpf_perf_commit(void *record) BPFJIT_KFUNC;
/* Takes the record back. */
extern void bpf_perf_discard(void *record) BPFJIT_KFUNC;

#endif
