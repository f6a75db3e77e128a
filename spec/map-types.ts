/**
 * Map types: what creation checks, which storage holds them, what a program may do with them.
 * Adding a map type on existing storage is one row. Source: include/uapi/linux/bpf.h; each type's *_alloc_check() in kernel/bpf.
 */

/** How `runtime/maps` keeps the elements; null where bpfjit has no such map yet. */
export type MapStorage =
  | "array"
  | "perCpuArray"
  | "hash"
  | "perCpuHash"
  | "lruHash"
  | "lruPerCpuHash"
  | "progArray"
  | "perfEventArray"
  | "ringbuf"
  | "userRingbuf"
  | "stackTrace";

/** Which wasm functions carry a program's operations on this storage. See spec/library.ts. */
export interface MapTypeSpec {
  readonly id: number;
  readonly name: string;
  readonly storage: MapStorage | null;
  /** what key_size must be: a number, "any" (> 0), "zero" */
  readonly key: number | "any" | "zero";
  readonly value: number | "any" | "zero";
  /** max_entries: any positive number, zero allowed (sized at load), a power of two multiple of the page size */
  readonly entries: "positive" | "cpusIfZero" | "pages" | "zero" | "any";
  /** value slots are per CPU, each rounded up to 8 bytes */
  readonly perCpu: boolean;
  /** helpers that take this map as ARG_CONST_MAP_PTR; null: the verifier does not restrict it */
  readonly since: string;
}

const row = <const Name extends string>(
  id: number,
  name: Name,
  storage: MapStorage | null,
  key: MapTypeSpec["key"],
  value: MapTypeSpec["value"],
  entries: MapTypeSpec["entries"],
  since: string,
  perCpu = false,
) => ({ id, name, storage, key, value, entries, perCpu, since }) as const;

export const MAP_TYPES = [
  row(1, "hash", "hash", "any", "any", "positive", "3.19"),
  row(2, "array", "array", 4, "any", "positive", "3.19"),
  row(3, "prog_array", "progArray", 4, 4, "positive", "4.2"),
  row(4, "perf_event_array", "perfEventArray", 4, 4, "cpusIfZero", "4.3"),
  row(5, "percpu_hash", "perCpuHash", "any", "any", "positive", "4.6", true),
  row(6, "percpu_array", "perCpuArray", 4, "any", "positive", "4.6", true),
  row(7, "stack_trace", "stackTrace", 4, "any", "positive", "4.6"),
  row(8, "cgroup_array", null, 4, 4, "positive", "4.8"),
  row(9, "lru_hash", "lruHash", "any", "any", "positive", "4.10"),
  row(10, "lru_percpu_hash", "lruPerCpuHash", "any", "any", "positive", "4.10", true),
  row(11, "lpm_trie", null, "any", "any", "positive", "4.11"),
  row(12, "array_of_maps", null, 4, 4, "positive", "4.12"),
  row(13, "hash_of_maps", null, "any", 4, "positive", "4.12"),
  row(14, "devmap", null, 4, "any", "positive", "4.14"),
  row(15, "sockmap", null, 4, "any", "positive", "4.14"),
  row(16, "cpumap", null, 4, "any", "positive", "4.15"),
  row(17, "xskmap", null, 4, 4, "positive", "4.18"),
  row(18, "sockhash", null, "any", "any", "positive", "4.18"),
  row(19, "cgroup_storage", null, "any", "any", "zero", "4.19"),
  row(20, "reuseport_sockarray", null, 4, "any", "positive", "4.19"),
  row(21, "percpu_cgroup_storage", null, "any", "any", "zero", "4.20", true),
  row(22, "queue", null, "zero", "any", "positive", "4.20"),
  row(23, "stack", null, "zero", "any", "positive", "4.20"),
  row(24, "sk_storage", null, 4, "any", "zero", "5.2"),
  row(25, "devmap_hash", null, 4, "any", "positive", "5.4"),
  row(26, "struct_ops", null, 4, "any", "any", "5.6"),
  row(27, "ringbuf", "ringbuf", "zero", "zero", "pages", "5.8"),
  row(28, "inode_storage", null, 4, "any", "zero", "5.10"),
  row(29, "task_storage", null, 4, "any", "zero", "5.11"),
  row(30, "bloom_filter", null, "zero", "any", "positive", "5.16"),
  row(31, "user_ringbuf", "userRingbuf", "zero", "zero", "pages", "6.1"),
  row(32, "cgrp_storage", null, 4, "any", "zero", "6.2"),
  row(33, "arena", null, "zero", "zero", "any", "6.9"),
  row(34, "insn_array", null, 4, "any", "positive", "6.19"),
] as const satisfies readonly MapTypeSpec[];

export type MapTypeName = (typeof MAP_TYPES)[number]["name"];

const BY_ID = new Map<number, MapTypeSpec & { name: MapTypeName }>(MAP_TYPES.map((spec) => [spec.id, spec]));
const BY_NAME = new Map<string, MapTypeSpec & { name: MapTypeName }>(MAP_TYPES.map((spec) => [spec.name, spec]));
export const mapTypeById = (id: number): (MapTypeSpec & { name: MapTypeName }) | undefined => BY_ID.get(id);
export const mapTypeByName = (name: string): (MapTypeSpec & { name: MapTypeName }) | undefined => BY_NAME.get(name);

/** The kernel's struct behind a pointer to a map of this type. */
export const MAP_STRUCT: Readonly<Record<MapTypeName, string>> = {
  hash: "bpf_htab",
  array: "bpf_array",
  prog_array: "bpf_array",
  perf_event_array: "bpf_array",
  percpu_hash: "bpf_htab",
  percpu_array: "bpf_array",
  stack_trace: "bpf_stack_map",
  cgroup_array: "bpf_array",
  lru_hash: "bpf_htab",
  lru_percpu_hash: "bpf_htab",
  lpm_trie: "lpm_trie",
  array_of_maps: "bpf_array",
  hash_of_maps: "bpf_htab",
  devmap: "bpf_dtab",
  sockmap: "bpf_stab",
  cpumap: "bpf_cpu_map",
  xskmap: "xsk_map",
  sockhash: "bpf_shtab",
  cgroup_storage: "bpf_cgroup_storage_map",
  reuseport_sockarray: "reuseport_array",
  percpu_cgroup_storage: "bpf_cgroup_storage_map",
  queue: "bpf_queue_stack",
  stack: "bpf_queue_stack",
  sk_storage: "bpf_local_storage_map",
  devmap_hash: "bpf_dtab",
  struct_ops: "bpf_struct_ops_map",
  ringbuf: "bpf_ringbuf_map",
  inode_storage: "bpf_local_storage_map",
  task_storage: "bpf_local_storage_map",
  bloom_filter: "bpf_bloom_filter",
  user_ringbuf: "bpf_ringbuf_map",
  cgrp_storage: "bpf_local_storage_map",
  arena: "bpf_arena",
  insn_array: "bpf_insn_array",
};

/** map_flags bits. */
export const MAP_FLAG = {
  NO_PREALLOC: 1 << 0,
  NO_COMMON_LRU: 1 << 1,
  NUMA_NODE: 1 << 2,
  RDONLY: 1 << 3,
  WRONLY: 1 << 4,
  STACK_BUILD_ID: 1 << 5,
  ZERO_SEED: 1 << 6,
  RDONLY_PROG: 1 << 7,
  WRONLY_PROG: 1 << 8,
  CLONE: 1 << 9,
  MMAPABLE: 1 << 10,
  PRESERVE_ELEMS: 1 << 11,
  INNER_MAP: 1 << 12,
  LINK: 1 << 13,
} as const;

/** flags of an update. */
export const UPDATE_FLAG = { ANY: 0, NOEXIST: 1, EXIST: 2, LOCK: 4 } as const;

/** A map as the object file defines it; inert. Sizes in bytes. */
export interface MapSpec {
  readonly name: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly keyType: CType | null;
  readonly valueType: CType | null;
  /** types of key (0: none) and value in the object's BTF; absent or null: the kernel is given none */
  readonly btf?: { readonly key: number; readonly value: number } | null;
  /** what the value holds beside plain bytes, ascending by offset; absent: nothing */
  readonly fields?: readonly SpecialField[];
  /** .data, .rodata, .bss, .kconfig: the value of entry 0 at load, `valueSize` bytes; null elsewhere */
  readonly initial: Uint8Array | null;
  /** programs cannot write it and user space neither once it is loaded (.rodata, .kconfig) */
  readonly frozen: boolean;
  /** name of the ELF section for a data map */
  readonly section: string | null;
  /** variables of a data map */
  readonly variables: readonly MapVariable[];
  /** prog_array: initial slots, struct_ops: members; by the name of the program */
  readonly programs: readonly { readonly index: number; readonly program: string }[];
  /** map in map: template and initial slots by the name of the map */
  readonly inner: MapSpec | null;
  readonly innerMaps: readonly { readonly index: number; readonly map: string }[];
  readonly pinned: boolean;
  readonly numaNode: number | null;
  /** LIBBPF extras (map_extra) */
  readonly extra: bigint;
}

/** CPUs' values of a per-CPU map do not share a cache line. */
export const CACHE_LINE_BYTES = 64;

/** How an array's values lie: bytes from one to the next, and from one CPU's to the next's (0: not per CPU). */
export function arrayStrides({ type, valueSize, maxEntries }: Pick<MapSpec, "type" | "valueSize" | "maxEntries">): {
  readonly strideBytes: number;
  readonly cpuStrideBytes: number;
} {
  const strideBytes = Math.ceil(valueSize / 8) * 8;
  const lines = Math.ceil((strideBytes * maxEntries) / CACHE_LINE_BYTES);
  return { strideBytes, cpuStrideBytes: type === "percpu_array" ? lines * CACHE_LINE_BYTES : 0 };
}

export interface MapVariable {
  readonly name: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly type: CType | null;
}

import type { SpecialField } from "./special-fields.ts";
import type { CType } from "./types.ts";
