/**
 * What a tool changes between opening an object and loading it: sizes and flags of maps, initial values, types and targets
 * of programs. Edits are plain data and are applied while the object is read, so the same object, edits and target give
 * the same programs. Source: libbpf, bpf_map__set_*() and bpf_program__set_*().
 */
import type { AttachTypeName, CType, MapSpec, MapTypeName, MapVariable, ProgramTypeName } from "../../spec/index.ts";
import { ringBytes } from "./map-definition.ts";

/** What is left out stays as the object has it. Sizes in bytes. */
export interface MapEdit {
  readonly type?: MapTypeName;
  readonly keySize?: number;
  readonly valueSize?: number;
  readonly maxEntries?: number;
  readonly flags?: number;
  readonly numaNode?: number | null;
  readonly extra?: bigint;
  readonly pinned?: boolean;
  /** template of a map of maps */
  readonly inner?: MapSpec;
  /** value of a data map's only entry */
  readonly initial?: Uint8Array;
}

export interface ProgramEdit {
  readonly type?: ProgramTypeName;
  readonly attachType?: AttachTypeName | null;
  /** what the section's name would say behind its prefix */
  readonly attachTarget?: string | null;
  readonly autoload?: boolean;
}

export interface Edits {
  readonly maps?: Readonly<Record<string, MapEdit>>;
  readonly programs?: Readonly<Record<string, ProgramEdit>>;
}

/** The map as it is to be made. Types of keys and values go where they no longer fit the size. */
export function editMap(spec: MapSpec, edit: MapEdit): MapSpec {
  const type = edit.type ?? spec.type;
  const keySize = edit.keySize ?? spec.keySize;
  const valueSize = edit.valueSize ?? spec.valueSize;
  const maxEntries = edit.maxEntries ?? spec.maxEntries;
  const isRing = type === "ringbuf" || type === "user_ringbuf";
  const edited: MapSpec = {
    ...spec,
    type,
    keySize,
    valueSize,
    maxEntries: isRing ? ringBytes(maxEntries) : maxEntries,
    flags: edit.flags ?? spec.flags,
    keyType: fitting(spec.keyType, keySize),
    valueType: fitting(spec.valueType, valueSize),
    btf: keySize === spec.keySize && valueSize === spec.valueSize ? (spec.btf ?? null) : null,
    numaNode: edit.numaNode === undefined ? spec.numaNode : edit.numaNode,
    extra: edit.extra ?? spec.extra,
    pinned: edit.pinned ?? spec.pinned,
    inner: edit.inner ?? spec.inner,
  };
  if (spec.initial === null) return edited;
  const initial = new Uint8Array(valueSize);
  initial.set((edit.initial ?? spec.initial).subarray(0, valueSize));
  return { ...edited, initial, variables: resizeLast(spec.variables, spec.valueSize, valueSize) };
}

const fitting = (type: CType | null, size: number): CType | null => (type?.size === size ? type : null);

/** A data section grows (or shrinks) at its end: with its last variable, where that is an array. */
function resizeLast(variables: readonly MapVariable[], before: number, after: number): readonly MapVariable[] {
  const last = variables[variables.length - 1];
  if (before === after || last === undefined) return variables;
  const sizeBytes = after - last.offsetBytes;
  const { type } = last;
  const kept = variables.slice(0, -1).filter((variable) => variable.offsetBytes + variable.sizeBytes <= after);
  if (type?.kind !== "array" || sizeBytes <= 0 || type.element.size === 0 || sizeBytes % type.element.size !== 0)
    return last.offsetBytes + last.sizeBytes <= after ? [...kept, last] : kept;
  const resized: CType = { ...type, size: sizeBytes, length: sizeBytes / type.element.size };
  return [...kept, { ...last, sizeBytes, type: resized }];
}

const RUN_TIME_ENTRIES = 1024;
const RUN_TIME_RING_BYTES = 256 * 1024;
const RUN_TIME_STACK_FRAMES = 127;

/** Types whose max_entries the kernel wants to be 0, or sets itself. */
const SIZELESS: ReadonlySet<MapTypeName> = new Set<MapTypeName>([
  "perf_event_array",
  "struct_ops",
  "sk_storage",
  "inode_storage",
  "task_storage",
  "cgrp_storage",
  "cgroup_storage",
  "percpu_cgroup_storage",
]);

/** A map that tools size at run time, with a size such as they give it; others as they are. */
export function sizeAtRunTime(spec: MapSpec): MapSpec {
  const isRing = spec.type === "ringbuf" || spec.type === "user_ringbuf";
  const isOuter = spec.type === "array_of_maps" || spec.type === "hash_of_maps";
  return {
    ...spec,
    ...(spec.maxEntries === 0 &&
      !SIZELESS.has(spec.type) && { maxEntries: isRing ? RUN_TIME_RING_BYTES : RUN_TIME_ENTRIES }),
    ...(spec.type === "stack_trace" && spec.valueSize === 0 && { valueSize: 8 * RUN_TIME_STACK_FRAMES }),
    ...(isOuter && spec.inner === null && { inner: innerTemplate(spec) }),
  };
}

/** What stands for an inner map that user space brings: a hash of ints. */
const innerTemplate = (outer: MapSpec): MapSpec => ({
  ...outer,
  name: `${outer.name}.inner`,
  type: "hash",
  keySize: 4,
  valueSize: 4,
  maxEntries: 1,
  flags: 0,
  keyType: null,
  valueType: null,
  innerMaps: [],
  pinned: false,
  numaNode: null,
  extra: 0n,
});

/**
 * The type that user space gives a program whose section libbpf does not know, guessed from the section's name as such
 * names were used before libbpf: null where nothing is to be guessed.
 */
export function guessType(section: string): ProgramTypeName | null {
  if (section.includes("xdp")) return "xdp";
  return section.startsWith("socket") || section === "filter" || section === "loadbalancer" ? "socket_filter" : null;
}
