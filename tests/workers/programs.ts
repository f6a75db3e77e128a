/** Programs for tests of workers, on tracepoint test/event. Its payload: u64 of nothing, u32 key, u32 sequence number. */
const HEAD = `
; map: total array key=4 value=8 max=1
; map: own percpu_array key=4 value=8 max=1
; map: keys hash key=4 value=8 max=256
; map: seen percpu_hash key=4 value=8 max=256
; map: ring ringbuf max=4096
; map: events perf_event_array key=4 value=4 max=0`;

/** Counts: in all (atomic), by CPU, by key (atomic), by key and CPU. */
export const COUNT = `
; prog: tracepoint name=count target=test/event section=tp/test/event${HEAD}
  r6 = r1
  r1 = map[total][0] ll
  r2 = 1
  lock *(u64 *)(r1 + 0) += r2
  *(u32 *)(r10 - 4) = 0
  r1 = map[own] ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r1 = *(u64 *)(r0 + 0)
  r1 += 1
  *(u64 *)(r0 + 0) = r1
  r1 = *(u32 *)(r6 + 8)
  *(u32 *)(r10 - 4) = r1
  *(u64 *)(r10 - 16) = 0
  r1 = map[keys] ll
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = 1
  call bpf_map_update_elem
  r1 = map[keys] ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r2 = 1
  lock *(u64 *)(r0 + 0) += r2
  r1 = map[seen] ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 != 0 goto add
  r1 = map[seen] ll
  r2 = r10
  r2 += -4
  r3 = r10
  r3 += -16
  r4 = 0
  call bpf_map_update_elem
  r1 = map[seen] ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
add:
  r1 = *(u64 *)(r0 + 0)
  r1 += 1
  *(u64 *)(r0 + 0) = r1
out:
  r0 = 0
  exit
`;

/** A record of CPU and sequence number in the ring, reserved, and in the CPU's perf buffer, copied. */
export const RECORD = `
; prog: tracepoint name=record target=test/event section=tp/test/event${HEAD}
  r6 = r1
  call bpf_get_smp_processor_id
  r7 = r0
  r8 = *(u32 *)(r6 + 12)
  *(u32 *)(r10 - 8) = r7
  *(u32 *)(r10 - 4) = r8
  r1 = r6
  r2 = map[events] ll
  r3 = 0xffffffff ll
  r4 = r10
  r4 += -8
  r5 = 8
  call bpf_perf_event_output
  r1 = map[ring] ll
  r2 = 8
  r3 = 0
  call bpf_ringbuf_reserve
  if r0 == 0 goto out
  *(u32 *)(r0 + 0) = r7
  *(u32 *)(r0 + 4) = r8
  r1 = r0
  r2 = 0
  call bpf_ringbuf_submit
out:
  r0 = 0
  exit
`;
