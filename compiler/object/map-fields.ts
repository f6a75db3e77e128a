/**
 * Whether the kernel makes a map with the BTF of its key and value, and which special fields the value then has. Where the
 * kernel refuses it, libbpf makes the map once more, without: then it has no such fields, and programs that use one are
 * refused. libbpf: bpf_object__create_map(). Kernel: map_check_btf().
 */
import { MAP_FLAG, type MapSpec, type MapTypeName } from "../../spec/map-types.ts";
import { type SpecialField, specialField } from "../../spec/special-fields.ts";
import type { Btf } from "./btf/btf.ts";
import { FieldsError, fieldsOfSection, fieldsOfValue, type IsKernelType, requireTargets } from "./btf/fields.ts";
import type { DataSection } from "./datasec.ts";

/** Types that libbpf, or the kernel, makes without BTF whatever it says. */
const WITHOUT_BTF: ReadonlySet<MapTypeName> = new Set<MapTypeName>([
  "prog_array",
  "perf_event_array",
  "stack_trace",
  "cgroup_array",
  "array_of_maps",
  "hash_of_maps",
  "devmap",
  "devmap_hash",
  "cpumap",
  "xskmap",
  "sockmap",
  "sockhash",
  "queue",
  "stack",
  "struct_ops",
  "arena",
  "ringbuf",
  "user_ringbuf",
]);
/** Types whose key must be a number of four bytes. Kernel: array_map_check_btf(), bpf_local_storage_map_check_btf() */
const INDEXED: ReadonlySet<MapTypeName> = new Set<MapTypeName>([
  "array",
  "percpu_array",
  "sk_storage",
  "inode_storage",
  "task_storage",
  "cgrp_storage",
]);

/** A map of an object whose BTF the kernel does not have. */
export const withoutTypes = (spec: MapSpec): MapSpec => ({
  ...spec,
  inner: spec.inner === null ? null : withoutTypes(spec.inner),
  btf: null,
});

export function withFields(
  spec: MapSpec,
  btf: Btf,
  sections: ReadonlyMap<string, DataSection>,
  isKernelType: IsKernelType,
): MapSpec {
  const inner = spec.inner === null ? null : withFields(spec.inner, btf, sections, isKernelType);
  const known = spec.btf ?? null;
  const fields =
    known === null || WITHOUT_BTF.has(spec.type) ? null : fieldsOf(spec, known, btf, sections, isKernelType);
  return {
    ...spec,
    inner,
    btf: fields === null ? null : known,
    ...(fields !== null && fields.length > 0 && { fields }),
  };
}

/** null: the kernel does not take the BTF. */
function fieldsOf(
  spec: MapSpec,
  { key, value }: NonNullable<MapSpec["btf"]>,
  btf: Btf,
  sections: ReadonlyMap<string, DataSection>,
  isKernelType: IsKernelType,
): readonly SpecialField[] | null {
  const section = spec.section === null ? undefined : sections.get(spec.section);
  if (section === undefined) {
    if (key === 0 || btf.sizeOf(key) !== spec.keySize || btf.sizeOf(value) !== spec.valueSize) return null;
    if (INDEXED.has(spec.type) && !isNumber(btf, key)) return null;
  }
  const fields = found(() =>
    section === undefined
      ? fieldsOfValue(btf, btf.skipModifiers(value), isKernelType)
      : fieldsOfSection(btf, section.variables, isKernelType),
  );
  // A value whose fields cannot be told is one without any, and the map is made.
  if (fields === null || fields.length === 0) return [];
  if (spec.flags & (MAP_FLAG.RDONLY_PROG | MAP_FLAG.WRONLY_PROG)) return null;
  if (!fields.every((field) => specialField(field.kind).maps.includes(spec.type))) return null;
  return found(() => requireTargets(btf, fields, isKernelType));
}

/** null where the fields are at fault */
function found<T>(find: () => T): T | null {
  try {
    return find();
  } catch (error) {
    if (error instanceof FieldsError) return null;
    throw error;
  }
}

const NUMBER_BYTES = 4;
function isNumber(btf: Btf, id: number): boolean {
  const type = btf.resolve(id);
  return type.kind === "int" && type.size === NUMBER_BYTES;
}
