/**
 * The wasm library's exports (wasm/*.wat) and which of them serves which map storage. tests/unit/library.test.ts holds the
 * assembled module against this table. Parameters: addresses and sizes are i32, scalars i64 where their argument has 64 bits.
 */

import { PAGE_BYTES } from "./abi.ts";
import type { MapHelperName } from "./helpers.ts";
import type { MapStorage } from "./map-types.ts";
import { MISC, RECORD, SAMPLE } from "./perf.ts";

export type WasmType = "i32" | "i64";
export interface LibraryFunction {
  readonly params: readonly WasmType[];
  readonly result: WasmType | null;
}
const fn = <const P extends readonly WasmType[], R extends WasmType | null>(params: P, result: R) => ({
  params,
  result,
});
const I = "i32" as const;
const L = "i64" as const;

export const LIBRARY = {
  // helpers that are wasm functions, under the helper's own name
  bpf_probe_read: fn([I, I, L], I),
  bpf_probe_read_str: fn([I, I, L], I),
  bpf_probe_read_user: fn([I, I, L], I),
  bpf_probe_read_user_str: fn([I, I, L], I),
  bpf_probe_read_kernel: fn([I, I, L], I),
  bpf_probe_read_kernel_str: fn([I, I, L], I),
  bpf_ktime_get_ns: fn([], L),
  bpf_ktime_get_boot_ns: fn([], L),
  bpf_ktime_get_coarse_ns: fn([], L),
  bpf_get_prandom_u32: fn([], I),
  bpf_get_smp_processor_id: fn([], I),
  bpf_get_current_pid_tgid: fn([], L),
  bpf_get_current_uid_gid: fn([], L),
  bpf_get_current_comm: fn([I, I], I),
  bpf_get_current_cgroup_id: fn([], L),
  bpf_get_current_task: fn([], L),
  bpf_get_current_task_btf: fn([], L),
  bpf_ringbuf_submit: fn([I, L], null),
  bpf_ringbuf_discard: fn([I, L], null),
  bpf_strncmp: fn([I, I, I], I),
  bpf_spin_lock: fn([I], null),
  bpf_spin_unlock: fn([I], null),
  bpf_dynptr_from_mem: fn([I, I, L, I], I),
  bpf_dynptr_read: fn([I, I, I, I, L], I),
  bpf_dynptr_write: fn([I, I, I, I, L], I),
  bpf_dynptr_data: fn([I, I, I], I),
  bpf_ringbuf_submit_dynptr: fn([I, L], null),
  bpf_ringbuf_discard_dynptr: fn([I, L], null),
  /** the packet is a kernel object: a 64-bit pointer */
  bpf_skb_output: fn([L, I, L, I, I], I),
  bpf_xdp_output: fn([L, I, L, I, I], I),
  bpf_skb_load_bytes: fn([I, L, I, I], I),
  bpf_xdp_load_bytes: fn([I, L, I, I], I),
  bpf_xdp_store_bytes: fn([I, L, I, I], I),
  bpf_redirect: fn([L, L], I),
  /** bpf_redirect for xdp programs */
  redirect_xdp: fn([L, L], I),
  bpf_get_stack: fn([I, I, I, L], I),
  bpf_get_stackid: fn([I, I, L], I),
  bpf_get_task_stack: fn([L, I, I, L], I),
  bpf_get_func_ip: fn([I], L),
  bpf_get_func_arg: fn([I, I, I], I),
  bpf_get_func_arg_cnt: fn([I], I),
  bpf_get_func_ret: fn([I, I], I),
  bpf_get_attach_cookie: fn([I], L),

  // kernel functions, under their own name
  bpf_dynptr_slice: fn([I, I, I, I], I),
  bpf_dynptr_slice_rdwr: fn([I, I, I, I], I),
  bpf_dynptr_adjust: fn([I, I, I], I),
  bpf_dynptr_is_null: fn([I], I),
  bpf_dynptr_is_rdonly: fn([I], I),
  bpf_dynptr_size: fn([I], I),
  bpf_dynptr_clone: fn([I, I], I),
  bpf_dynptr_copy: fn([I, I, I, I, I], I),
  bpf_dynptr_memset: fn([I, I, I, I], I),
  bpf_dynptr_from_skb: fn([I, L, I], I),
  bpf_dynptr_from_skb_meta: fn([I, L, I], I),
  bpf_dynptr_from_xdp: fn([I, L, I], I),
  /** bpf_dynptr_from_skb for programs that may not write packets */
  dynptr_from_skb_rdonly: fn([I, L, I], I),

  // maps, by storage: (map, key) → address or 0; (map, key, value, flags) → 0 or -errno
  array_lookup: fn([I, I], I),
  array_update: fn([I, I, I, L], I),
  percpu_array_lookup: fn([I, I], I),
  percpu_array_update: fn([I, I, I, L], I),
  hash_lookup: fn([I, I], I),
  hash_update: fn([I, I, I, L], I),
  hash_delete: fn([I, I], I),
  percpu_hash_lookup: fn([I, I], I),
  percpu_hash_update: fn([I, I, I, L], I),
  percpu_hash_delete: fn([I, I], I),
  /** lookups with keys of 4, 8 and 16 bytes, key by value (16: low, high): LOOKUP_BY_VALUE */
  hash_get_4: fn([I, I], I),
  hash_get_8: fn([I, L], I),
  hash_get_16: fn([I, L, L], I),
  percpu_hash_get_4: fn([I, I], I),
  percpu_hash_get_8: fn([I, L], I),
  percpu_hash_get_16: fn([I, L, L], I),
  lru_hash_lookup: fn([I, I], I),
  lru_hash_get_4: fn([I, I], I),
  lru_hash_get_8: fn([I, L], I),
  lru_hash_get_16: fn([I, L, L], I),
  lru_percpu_hash_lookup: fn([I, I], I),
  lru_percpu_hash_get_4: fn([I, I], I),
  lru_percpu_hash_get_8: fn([I, L], I),
  lru_percpu_hash_get_16: fn([I, L, L], I),
  /** (map, key) → position (see map_next) or 0 */
  hash_find: fn([I, I], I),
  /** an operation that this storage refuses: answers -EINVAL, whatever the arguments */
  map_refuse_delete: fn([I, I], I),
  map_refuse_update: fn([I, I, I, L], I),
  map_refuse_lookup: fn([I, I], I),
  /** any map: dispatch on the descriptor, for maps that the verifier cannot name */
  map_lookup: fn([I, I], I),
  map_update: fn([I, I, I, L], I),
  map_delete: fn([I, I], I),
  /**
   * Iteration for bpf_for_each_map_elem and for TypeScript: (map, position) → next position or 0 at the end; start with 0.
   * Key and value of a position: addresses; a per-CPU value is that of the current CPU.
   * Around a callback that may change the map, map_next comes in two halves: `after = map_after(map, position)` before the
   * callback, `position = map_resume(map, after)` behind it.
   */
  map_next: fn([I, I], I),
  map_after: fn([I, I], I),
  map_resume: fn([I, I], I),
  map_position_key: fn([I, I], I),
  map_position_value: fn([I, I], I),

  // rings: (map, data, size, flags), …
  ringbuf_output: fn([I, I, I, L], I),
  ringbuf_reserve: fn([I, I, L], I),
  ringbuf_query: fn([I, L], L),
  ringbuf_reserve_dynptr: fn([I, I, L, I], I),
  /** a drain of a user ring buffer, around the callback: (map, flags) → 0 or -errno; (map) → length of the next sample or
   * -errno; (map, length); (map, flags, what was said of the next sample at last) → samples or -errno */
  user_ringbuf_begin: fn([I, L], I),
  user_ringbuf_next: fn([I], I),
  user_ringbuf_done: fn([I, I], null),
  user_ringbuf_end: fn([I, L, I], I),
  /** (ctx, map, flags, data, size) → 0 or -errno */
  perf_event_output: fn([I, I, L, I, I], I),
  /** the same for __sk_buff and xdp_md: bits 32 … 51 of flags say how many bytes of the packet follow the data */
  perf_event_output_skb: fn([I, I, L, I, I], I),
  perf_event_output_xdp: fn([I, I, L, I, I], I),
  /** (map, size, flags) → address of the payload or 0; (payload) */
  perf_reserve: fn([I, I, L], I),
  bpf_perf_commit: fn([I], null),
  bpf_perf_discard: fn([I], null),

  /** stack traces: (map, id) → 0 or -errno */
  stack_delete: fn([I, I], I),

  /** prog array: (map, index) → table index + 1, or 0 where the slot is empty or the index out of range */
  prog_array_target: fn([I, I], I),

  /** an unaligned atomic: (address, operation as in the insn's imm, bytes 4 or 8, operand, expected for cmpxchg) → old value */
  atomic_unaligned: fn([I, I, I, L, L], L),
  /** a checked load through a kernel pointer: (address, bytes) → value, 0 where nothing is mapped */
  probe_load: fn([L, I], L),

  /**
   * Runs `count` events at `events` through their hooks' links; returns how many ran (fewer when WORKER.yield was set).
   * Calls programs through env.table by LINK.program.
   */
  run_events: fn([I, I], I),
} as const satisfies Record<string, LibraryFunction>;

export type LibraryName = keyof typeof LIBRARY;

/** Functions inside the library, no exports, for what is rare: each has one caller, which is put into programs without it. */
export const RARE_CALLS = ["ring_reserve_any", "perf_output_any"] as const;

/** Which library function carries a helper on a map of that storage; absent: the verifier refuses the combination. */
export const MAP_OPERATIONS: Readonly<Record<MapStorage, Partial<Readonly<Record<MapHelperName, LibraryName>>>>> = {
  array: {
    bpf_map_lookup_elem: "array_lookup",
    bpf_map_update_elem: "array_update",
    bpf_map_delete_elem: "map_refuse_delete",
  },
  perCpuArray: {
    bpf_map_lookup_elem: "percpu_array_lookup",
    bpf_map_update_elem: "percpu_array_update",
    bpf_map_delete_elem: "map_refuse_delete",
  },
  hash: { bpf_map_lookup_elem: "hash_lookup", bpf_map_update_elem: "hash_update", bpf_map_delete_elem: "hash_delete" },
  perCpuHash: {
    bpf_map_lookup_elem: "percpu_hash_lookup",
    bpf_map_update_elem: "percpu_hash_update",
    bpf_map_delete_elem: "percpu_hash_delete",
  },
  lruHash: {
    bpf_map_lookup_elem: "lru_hash_lookup",
    bpf_map_update_elem: "hash_update",
    bpf_map_delete_elem: "hash_delete",
  },
  lruPerCpuHash: {
    bpf_map_lookup_elem: "lru_percpu_hash_lookup",
    bpf_map_update_elem: "percpu_hash_update",
    bpf_map_delete_elem: "percpu_hash_delete",
  },
  progArray: {},
  stackTrace: {},
  perfEventArray: { bpf_perf_event_output: "perf_event_output" },
  ringbuf: {
    bpf_ringbuf_output: "ringbuf_output",
    bpf_ringbuf_reserve: "ringbuf_reserve",
    bpf_ringbuf_query: "ringbuf_query",
    bpf_ringbuf_reserve_dynptr: "ringbuf_reserve_dynptr",
  },
  userRingbuf: {},
};

/** Which library function looks up a key given by value, by its bytes. Arrays: "inline", the address is computed in place. */
export const LOOKUP_BY_VALUE: Readonly<Record<MapStorage, Readonly<Record<number, LibraryName | "inline">>>> = {
  array: { 4: "inline" },
  perCpuArray: { 4: "inline" },
  hash: { 4: "hash_get_4", 8: "hash_get_8", 16: "hash_get_16" },
  perCpuHash: { 4: "percpu_hash_get_4", 8: "percpu_hash_get_8", 16: "percpu_hash_get_16" },
  lruHash: { 4: "lru_hash_get_4", 8: "lru_hash_get_8", 16: "lru_hash_get_16" },
  lruPerCpuHash: { 4: "lru_percpu_hash_get_4", 8: "lru_percpu_hash_get_8", 16: "lru_percpu_hash_get_16" },
  progArray: {},
  stackTrace: {},
  perfEventArray: {},
  ringbuf: {},
  userRingbuf: {},
};

/** What the library imports from TypeScript (module "host"). Results of 64 bits go through WORKER.result. */
export const LIBRARY_IMPORTS = {
  /** monotonic ns of the host into WORKER.result; called only where the event carries no time of its own (EVENT_FLAG.liveClock) */
  now: fn([], null),
  /**
   * Reads memory that came with an event (address low, high; destination; bytes; 1: user, 0: kernel). Returns 0 or -EFAULT.
   * With `bytes` negative: a string of at most -bytes bytes, returns its length with the zero.
   */
  read_foreign: fn([I, I, I, I, I], I),
  /** A program reads kernel memory (address low, high; bytes, of a text 1): called only where RUNTIME.strict is set. */
  watch_read: fn([I, I, I], null),
  /** (TASK) → address of its task_struct, 0 where nothing is known of the kernel's layout */
  task_struct: fn([I], I),
  /**
   * (address of a lock, its owner's id + 1, how often this wait has asked before): it was taken whenever one looked. Returns after a
   * while, or when its owner turns out dead.
   */
  contended: fn([I, I, I], null),
} as const satisfies Record<string, LibraryFunction>;

/** liveClock: the event has no time of its own; fragments: behind its packet's context lies FRAGMENTS. */
export const EVENT_FLAG = { liveClock: 1, fragments: 2 } as const;
/**
 * The other bits of EVENT.flags: address of the event's call chain, a multiple of 4; 0: none is known. It is as perf records it:
 * a u64 count, then u64 addresses, before those of the kernel and those of the user a marker each (CHAIN_CONTEXT).
 */
export const EVENT_CHAIN_MASK = 0xffff_fffc;
/** Markers in a call chain; what is not below MAX is one. Source: enum perf_callchain_context in include/uapi/linux/perf_event.h */
export const CHAIN_CONTEXT = {
  KERNEL: 0xffff_ffff_ffff_ff80n,
  USER: 0xffff_ffff_ffff_fe00n,
  MAX: 0xffff_ffff_ffff_f001n,
} as const;
/** Addresses of a call chain that are looked at. Kernel: sysctl_perf_event_max_stack */
export const STACK_DEPTH = 127;
/** flags of bpf_get_stack and bpf_get_stackid. Source: include/uapi/linux/bpf.h */
export const STACK_FLAG = {
  SKIP_MASK: 0xff,
  USER_STACK: 1 << 8,
  FAST_STACK_CMP: 1 << 9,
  REUSE_STACKID: 1 << 10,
  USER_BUILD_ID: 1 << 11,
} as const;
/** struct bpf_stack_build_id, and its `status` where only the address is known. */
export const BUILD_ID = { status: 0, ip: 24, bytes: 32, IP: 2 } as const;
/** A chain in a map of stack traces. */
export const STACK_BUCKET = { next: 0, hash: 4, count: 8, data: 16 } as const;

/** What follows the first part of a packet, right behind the context struct: a count, bytes in all, and a FRAGMENT each. */
export const FRAGMENTS = { count: 0, bytes: 4, list: 8 } as const;
export const FRAGMENT = { data: 0, bytes: 4, size: 8 } as const;
/** Contexts that can be copied into a record: numbers of their functions in wasm/packet.wat. */
export const CONTEXT_COPY = { skb: 1, xdp: 2, kernelSkb: 3, kernelXdp: 4 } as const;

/** MAP.storage: how map_lookup and its kin tell storages apart. */
export const STORAGE_ID = {
  array: 1,
  perCpuArray: 2,
  hash: 3,
  perCpuHash: 4,
  progArray: 5,
  perfEventArray: 6,
  ringbuf: 7,
  lruHash: 8,
  lruPerCpuHash: 9,
  userRingbuf: 10,
  stackTrace: 11,
} as const satisfies Record<MapStorage, number>;

/** Words in MAP.private, by storage (offsets from MAP.private). */
export const MAP_PRIVATE = {
  array: {
    /** room for the keys 0, 1, 2 … as u32, written when an iteration first shows them */
    keys: 0,
    /** bytes from one CPU's values to the next's (per-CPU arrays) */
    cpuStride: 4,
  },
  /** hash and per-CPU hash; elements: ELEMENT */
  hash: {
    /** address of the bucket heads (u32 each, 0 ends a chain) */
    buckets: 0,
    bucketMask: 4,
    /** first free element, 0: none */
    free: 8,
    elementBytes: 12,
    /** offsets inside an element */
    keyOffset: 16,
    valueOffset: 20,
    elements: 24,
    /** elements taken from the pool so far; those behind were never touched */
    used: 28,
    seed: 32,
    /** u32 a CPU: the element that its next update of an existing key takes, 0: none yet (preallocated maps) */
    spares: 36,
    /** bytes from one CPU's values to the next's (per-CPU hashes) */
    cpuStride: 40,
    /** bumped when an element comes into a chain: whoever walked one meanwhile may have been led into another */
    links: 44,
    /** number of the element that an LRU hash looks at next when it is full */
    hand: 48,
  },
  ringbuf: {
    /** address of a table, a u32 a lane: the RING that the lane's worker writes to */
    lanes: 0,
    /** length of a data area; it is followed by an overflow tail of `tailBytes` */
    bytes: 4,
    tailBytes: 8,
    /** different rings in the table; they follow each other, `ringStride` bytes apart, from `ring` on */
    rings: 12,
    ring: 16,
    ringStride: 20,
    /** u32 for Atomics.wait, bumped at every wake-up, and how many wait on it: nobody is notified while it is 0 */
    wake: 24,
    waiters: 28,
  },
  userRingbuf: {
    /** address of the RING, and length of its data, which an overflow tail as long follows */
    ring: 0,
    bytes: 4,
    /** u32 for Atomics.wait, bumped when programs have drained, and how many writers wait on it */
    wake: 8,
    waiters: 12,
    /** id + 1 of the worker that drains, 0: nobody */
    busy: 16,
    /** of the drain under way: samples passed, discarded ones included, and samples that the callback was given */
    passed: 24,
    drained: 28,
    /** the DYNPTR that the callback is given */
    dynptr: 32,
  },
  perfEventArray: {
    /** u32 a slot: address of the perf buffer of that index, 0: none */
    slots: 0,
    /** u32 for Atomics.wait, for all buffers of the map, and how many wait on it */
    wake: 4,
    waiters: 8,
  },
  /** stack traces; elements: STACK_BUCKET */
  stackTrace: {
    /** address of the slots (u32 each, 0: empty); a slot's number is the id of its chain */
    buckets: 0,
    bucketMask: 4,
    /** first free element, 0: none */
    free: 8,
  },
  progArray: {
    /** u32 a slot: table index + 1, 0: empty */
    slots: 0,
  },
} as const;

/** What bpf_redirect answers, and its one flag. Source: include/uapi/linux/bpf.h, pkt_cls.h */
export const REDIRECT = { SHOT: 2, REDIRECT: 7, XDP_ABORTED: 0, XDP_REDIRECT: 4, INGRESS: 1 } as const;

/** An element of a hash: these words, the key padded to 8 bytes, then the value (per CPU: only its address). */
export const ELEMENT = {
  /** next element of the chain; kept when the element is deleted, so that an iteration that stands on it goes on */
  next: 0,
  hash: 4,
  /** next element of the free list; ELEMENT_IN_CHAIN in an element that is in a chain */
  freeNext: 8,
  /** per-CPU hash: address of CPU 0's value; with ELEMENT_LATELY */
  values: 12,
  key: 16,
} as const;

/** In place of an address, which is never odd. */
export const ELEMENT_IN_CHAIN = 1;
/** Beside the address, a multiple of 8: used since the hand of an LRU hash came by last. */
export const ELEMENT_LATELY = 1;

/** A dynptr on the stack. Source: struct bpf_dynptr_kern in include/linux/bpf.h. */
export const DYNPTR = { data: 0, size: 8, offset: 12, bytes: 16 } as const;
/** In `size`: bits 28 … 30 say what it is over, bit 31 that it may not be written, the lowest 24 are the size. */
export const DYNPTR_BITS = { typeShift: 28, rdonly: 0x8000_0000, largest: 0xff_ffff } as const;
/** Source: enum bpf_dynptr_type. */
export const DYNPTR_TYPE = { local: 1, ringbuf: 2, skb: 3, xdp: 4, skb_meta: 5 } as const;

/**
 * A BPF ring, page-aligned. The kernel's pages: its own, the consumer's position, the producer's, the data. The first page
 * is free for our words. Source: struct bpf_ringbuf in kernel/bpf/ringbuf.c.
 */
export const RING = {
  /** address of the map's descriptor */
  map: 0,
  /** workers of several lanes write to it: `lock` is taken, and records name their lane while they are busy */
  shared: 4,
  /** id + 1 of the worker that reserves, 0: nobody */
  lock: 8,
  /** address of a u64 for every 8 bytes of data: the time of the event that wrote the record there, 0: none */
  times: 12,
  /** u64: records that no reader gets: that found no room, and that a worker left behind when it died */
  dropped: 16,
  /** u64: start of the oldest record that is not committed, as far as is known */
  pending: 24,
  /** u64: those of `dropped` that a worker left behind */
  abandoned: 32,
  /**
   * u64: position up to which records are reserved without another look at the ring, since it is at most half full there; 0 in
   * rings that are shared or keep times
   */
  easy: 40,
  /** u64, of the ring's positions, which only grow */
  consumer: PAGE_BYTES,
  producer: 2 * PAGE_BYTES,
  data: 3 * PAGE_BYTES,
  /** header of a record: u32 length and flags, u32 pages from the ring's start to the header */
  headerBytes: 8,
  /** bits of the second word; above it: number of the lane + 1, while the record is busy and the ring shared */
  pageBits: 20,
  busy: 0x8000_0000,
  discard: 0x4000_0000,
} as const;
/** flags of submit, discard and output; of query. Source: include/uapi/linux/bpf.h */
export const RINGBUF_FLAG = { NO_WAKEUP: 1, FORCE_WAKEUP: 2 } as const;
export const RINGBUF_QUERY = { AVAIL_DATA: 0, RING_SIZE: 1, CONS_POS: 2, PROD_POS: 3 } as const;

/** Most samples that one drain passes. Source: BPF_MAX_USER_RINGBUF_SAMPLES in kernel/bpf/ringbuf.c. */
export const USER_RINGBUF_SAMPLES = 128 * 1024;

/**
 * A perf buffer: a page laid out as struct perf_event_mmap_page, then 2^n data pages, then an overflow tail of 64 KiB.
 * The offsets of the page are the kernel's; the words in `reserved` space are ours.
 */
export const PERF_BUFFER = {
  dataHead: 1024,
  dataTail: 1032,
  dataOffset: 1040,
  dataSize: 1048,
  /** u64: records that no reader gets, in all and since the last PERF_RECORD_LOST */
  lost: 2048,
  lostPending: 2056,
  /** u64: PERF_SAMPLE bits of a record's fields */
  sampleType: 2072,
  /** u64: what PERF_SAMPLE_ID says and what PERF_RECORD_LOST names */
  sampleId: 2080,
  /** virtual CPU whose programs may write to it */
  cpu: 2088,
  /** u32: records until a waiting reader is woken, and records since */
  wakeupEvents: 2092,
  events: 2096,
  /** address of the first data page */
  data: 2100,
  /** u64: where the next record goes; dataHead stays behind it while records are reserved */
  head: 2104,
  /** u32: records reserved; PERF_MODE bits; wake-up due when the last of them is committed; address of the map */
  nest: 2112,
  mode: 2116,
  wakeDue: 2120,
  map: 2124,
  /** u64: position of the last wake-up; u32: bytes until the next */
  wakeup: 2128,
  watermark: 2136,
  /** u32: longest record of a bare buffer */
  bareLimit: 2140,
  /** u64: records longer than their header can say, of which a reader gets the beginning */
  cut: 2144,
  /** u32: wake-ups so far */
  wakeups: 2152,
  headerBytes: PAGE_BYTES,
  tailBytes: 65_536,
} as const;

/** Bits of PERF_BUFFER.mode. Backward buffers overwrite what is oldest; bare ones hold records without headers. */
export const PERF_MODE = { BACKWARD: 1, PAUSED: 2, BARE: 4 } as const;

/**
 * Bits of PERF_BUFFER.sampleType that perf_event_output writes, in the order of a record's fields.
 * Source: include/uapi/linux/perf_event.h
 */
export const PERF_SAMPLE = {
  IDENTIFIER: SAMPLE.IDENTIFIER,
  /** 0: where a program stood is not known */
  IP: SAMPLE.IP,
  TID: SAMPLE.TID,
  TIME: SAMPLE.TIME,
  ADDR: SAMPLE.ADDR,
  ID: SAMPLE.ID,
  STREAM_ID: SAMPLE.STREAM_ID,
  CPU: SAMPLE.CPU,
  PERIOD: SAMPLE.PERIOD,
  /** the event's call chain with its markers; a length of 0: none is known */
  CALLCHAIN: SAMPLE.CALLCHAIN,
  RAW: SAMPLE.RAW,
} as const;
/** DISCARDED: reserved, or reserved and given up; readers pass over it. The kernel has no such type. */
export const PERF_RECORD = {
  DISCARDED: 0,
  LOST: RECORD.LOST,
  SAMPLE: RECORD.SAMPLE,
  MISC_KERNEL: MISC.KERNEL,
} as const;
/** flags of bpf_perf_event_output. Source: include/uapi/linux/bpf.h */
export const PERF_OUTPUT = {
  INDEX_MASK: 0xffff_ffffn,
  CURRENT_CPU: 0xffff_ffff,
  CTXLEN_MASK: 0xf_ffff_0000_0000n,
} as const;
