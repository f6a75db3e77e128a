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

/** Records of 32 bytes that count up on each CPU, with words that follow from the number: to the ring, to the perf buffer. */
const NUMBERED = `
  *(u32 *)(r10 - 4) = 0
  r1 = map[own] ll
  r2 = r10
  r2 += -4
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  r6 = *(u64 *)(r0 + 0)
  r6 += 1
  *(u64 *)(r0 + 0) = r6
  call bpf_get_smp_processor_id
  r7 = r0`;
const STORES = `
  *(u32 *)(r0 + 0) = r7
  *(u32 *)(r0 + 4) = r6
  r1 = r6
  r1 *= 0x1e3779b1
  *(u32 *)(r0 + 8) = r1
  r1 ^= 0x5bd1e995
  *(u32 *)(r0 + 12) = r1
  r1 += r7
  *(u32 *)(r0 + 16) = r1
  r1 ^= r6
  *(u32 *)(r0 + 20) = r1
  r1 += r6
  *(u32 *)(r0 + 24) = r1
  r1 ^= r7
  *(u32 *)(r0 + 28) = r1`;
export const RING_LOAD = `
; prog: tracepoint name=load target=test/event section=tp/test/event${HEAD.replace("max=4096", "max=65536")}${NUMBERED}
  r1 = map[ring] ll
  r2 = 32
  r3 = 0
  call bpf_ringbuf_reserve
  if r0 == 0 goto out${STORES}
  r1 = r0
  r2 = 0
  call bpf_ringbuf_submit
out:
  r0 = 0
  exit
`;
export const PERF_LOAD = `
; prog: tracepoint name=load target=test/event section=tp/test/event${HEAD}
  r8 = r1${NUMBERED}
  r0 = r10
  r0 += -40${STORES}
  r1 = r8
  r2 = map[events] ll
  r3 = 0xffffffff ll
  r4 = r10
  r4 += -40
  r5 = 32
  call bpf_perf_event_output
out:
  r0 = 0
  exit
`;

/** The words of such a record follow from its number. */
export function isWhole(words: Uint32Array, at: number): boolean {
  const cpu = words[at]!;
  const number = words[at + 1]!;
  let word = Math.imul(number, 0x1e37_79b1);
  if (words[at + 2] !== word >>> 0) return false;
  word ^= 0x5bd1_e995;
  if (words[at + 3] !== word >>> 0) return false;
  word = (word + cpu) | 0;
  if (words[at + 4] !== word >>> 0) return false;
  word ^= number;
  if (words[at + 5] !== word >>> 0) return false;
  word = (word + number) | 0;
  return words[at + 6] === word >>> 0 && words[at + 7] === (word ^ cpu) >>> 0;
}

/** What the number in the payload says with its key: 0 and 1 store it, 2 deletes, 3 adds it (atomic) where the key is there. */
export const CHANGE = `
; prog: tracepoint name=change target=test/event section=tp/test/event${HEAD}
  r6 = *(u32 *)(r1 + 12)
  r2 = *(u32 *)(r1 + 8)
  *(u32 *)(r10 - 4) = r2
  *(u64 *)(r10 - 16) = r6
  r7 = r6
  r7 &= 3
  r1 = map[keys] ll
  r2 = r10
  r2 += -4
  if r7 == 2 goto delete
  if r7 == 3 goto add
  r3 = r10
  r3 += -16
  r4 = 0
  call bpf_map_update_elem
  r0 = 0
  exit
delete:
  call bpf_map_delete_elem
  r0 = 0
  exit
add:
  call bpf_map_lookup_elem
  if r0 == 0 goto out
  lock *(u64 *)(r0 + 0) += r6
out:
  r0 = 0
  exit
`;
