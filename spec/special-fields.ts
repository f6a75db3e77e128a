/**
 * What a map's value, or an object that a program allocates, may hold beside plain bytes: locks, timers, pointers that the
 * kernel keeps, heads and nodes of lists and trees. One row each. Source: btf_field_type_size(), btf_field_type_name() in
 * include/linux/bpf.h, btf_get_field_type() and map_check_btf() in kernel/bpf.
 */
import type { MapTypeName } from "./map-types.ts";

const LOCKABLE = [
  "hash",
  "array",
  "cgroup_storage",
  "sk_storage",
  "inode_storage",
  "task_storage",
  "cgrp_storage",
] as const;
const TIMED = ["hash", "lru_hash", "array"] as const;
const OWNING = [
  "hash",
  "percpu_hash",
  "lru_hash",
  "lru_percpu_hash",
  "array",
  "percpu_array",
  "sk_storage",
  "inode_storage",
  "task_storage",
  "cgrp_storage",
] as const;
const NOWHERE = [] as const;

interface SpecialFieldRow {
  readonly kind: string;
  /** as messages name it */
  readonly shown: string;
  /** the struct that makes a member such a field; null: a pointer with the type tag `tag` */
  readonly struct: string | null;
  readonly tag: string | null;
  readonly sizeBytes: number;
  readonly alignBytes: number;
  /** once in a value at most */
  readonly unique: boolean;
  /** may be the element of an array, or lie in one */
  readonly repeatable: boolean;
  /** types of map that may have it in their values */
  readonly maps: readonly MapTypeName[];
  /** allocated objects may have it, which makes their type one that the kernel keeps a record of */
  readonly inObjects: boolean;
}

type Traits = Partial<Pick<SpecialFieldRow, "unique" | "repeatable" | "inObjects">>;
const struct = <const Kind extends string>(
  kind: Kind,
  name: string,
  [sizeBytes, alignBytes]: readonly [number, number],
  maps: readonly MapTypeName[],
  { unique = false, repeatable = false, inObjects = false }: Traits = {},
) =>
  ({ kind, shown: name, struct: name, tag: null, sizeBytes, alignBytes, unique, repeatable, maps, inObjects }) as const;
const pointer = <const Kind extends string>(
  kind: Kind,
  tag: string,
  shown: string,
  maps: readonly MapTypeName[],
  inObjects: boolean,
) =>
  ({
    kind,
    shown,
    struct: null,
    tag,
    sizeBytes: 8,
    alignBytes: 8,
    unique: false,
    repeatable: true,
    maps,
    inObjects,
  }) as const;

const ONE = { unique: true };
const ONE_IN_OBJECTS = { unique: true, inObjects: true };
const ROOT = { repeatable: true, inObjects: true };
const NODE = { inObjects: true };

export const SPECIAL_FIELDS = [
  struct("spinLock", "bpf_spin_lock", [4, 4], LOCKABLE, ONE_IN_OBJECTS),
  struct("resSpinLock", "bpf_res_spin_lock", [4, 4], LOCKABLE, ONE_IN_OBJECTS),
  struct("timer", "bpf_timer", [16, 8], TIMED, ONE),
  struct("workqueue", "bpf_wq", [16, 8], TIMED, ONE),
  struct("taskWork", "bpf_task_work", [8, 8], TIMED, ONE),
  struct("listHead", "bpf_list_head", [16, 8], TIMED, ROOT),
  struct("listNode", "bpf_list_node", [24, 8], NOWHERE, NODE),
  struct("rbRoot", "bpf_rb_root", [16, 8], TIMED, ROOT),
  struct("rbNode", "bpf_rb_node", [32, 8], NOWHERE, NODE),
  struct("refcount", "bpf_refcount", [4, 4], OWNING, ONE_IN_OBJECTS),
  pointer("kptrUntrusted", "kptr_untrusted", "kptr", OWNING, true),
  pointer("kptr", "kptr", "kptr", OWNING, true),
  pointer("percpuKptr", "percpu_kptr", "percpu_kptr", OWNING, true),
  pointer("uptr", "uptr", "uptr", ["task_storage"], false),
] as const satisfies readonly SpecialFieldRow[];

export type SpecialFieldKind = (typeof SPECIAL_FIELDS)[number]["kind"];
export type SpecialFieldSpec = SpecialFieldRow & { readonly kind: SpecialFieldKind };

const BY_KIND = new Map<SpecialFieldKind, SpecialFieldSpec>(SPECIAL_FIELDS.map((row) => [row.kind, row]));
export const specialField = (kind: SpecialFieldKind): SpecialFieldSpec => BY_KIND.get(kind)!;

/** The same rows by the struct that a member has as its type. */
const BY_STRUCT = new Map<string, SpecialFieldSpec>(
  SPECIAL_FIELDS.flatMap((row) => (row.struct === null ? [] : [[row.struct, row] as const])),
);
export const specialStruct = (name: string): SpecialFieldSpec | undefined => BY_STRUCT.get(name);

/** A field in a value, as found. Type ids count in the object's BTF. */
export interface SpecialField {
  readonly kind: SpecialFieldKind;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** pointers: the struct that they point to; heads and roots: the struct that they hold */
  readonly type?: number;
  /** pointers: a type of the kernel's, of the same name; else one of the program's own */
  readonly ofKernel?: boolean;
  /** heads and roots: where in that struct the node lies */
  readonly nodeOffset?: number;
}

/**
 * Kernel types of which a map or object may own an instance, with what gives it back when the map goes away.
 * Source: register_btf_id_dtor_kfuncs() in kernel/bpf and net/bpf.
 */
export const OWNED_KERNEL_TYPES: ReadonlySet<string> = new Set([
  "task_struct",
  "cgroup",
  "bpf_cpumask",
  "bpf_crypto_ctx",
  "prog_test_ref_kfunc",
  "prog_test_member",
]);
