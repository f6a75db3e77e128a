/** Makes a map of a definition, or refuses it as the kernel would. Kernel: map_create() and each type's *_alloc_check(). */
import { type ErrorDetail, MapError, UnsupportedError } from "../../base/index.ts";
import {
  type ErrnoName,
  MAP_FLAG,
  type MapSpec,
  type MapStorage,
  type MapTypeSpec,
  mapTypeByName,
  PAGE_BYTES,
  STACK_DEPTH,
} from "../../spec/index.ts";
import { ArrayMap } from "./array.ts";
import { HashMap } from "./hash.ts";
import type { BpfMap, MapOrigin, MapWorld } from "./map.ts";
import { PerfEventArrayMap } from "./perf-array.ts";
import { ProgArrayMap } from "./prog-array.ts";
import { RingbufMap, type RingbufOptions } from "./ringbuf.ts";
import { STACK_FLAGS, StackTraceMap, stackBytes } from "./stack-trace.ts";
import { UserRingbufMap } from "./user-ringbuf.ts";

/** Kernel: KMALLOC_MAX_SIZE and sizeof(struct htab_elem) on x86-64. */
const HASH_ELEMENT_LIMIT = 4 * 1024 * 1024 - 48;
/** Kernel: PCPU_MIN_UNIT_SIZE */
const PER_CPU_VALUE_LIMIT = 32_768;
const ACCESS_FLAGS = MAP_FLAG.RDONLY | MAP_FLAG.WRONLY | MAP_FLAG.RDONLY_PROG | MAP_FLAG.WRONLY_PROG;
const ARRAY_FLAGS =
  MAP_FLAG.NUMA_NODE | MAP_FLAG.MMAPABLE | ACCESS_FLAGS | MAP_FLAG.PRESERVE_ELEMS | MAP_FLAG.INNER_MAP;
const HASH_FLAGS =
  MAP_FLAG.NO_PREALLOC | MAP_FLAG.NO_COMMON_LRU | MAP_FLAG.NUMA_NODE | ACCESS_FLAGS | MAP_FLAG.ZERO_SEED;

export type CreateOptions = RingbufOptions;

/** One a storage: what it is made by. */
const MAKERS: Readonly<Record<MapStorage, (origin: MapOrigin, options: CreateOptions) => BpfMap>> = {
  array: (origin) => new ArrayMap(origin),
  perCpuArray: (origin) => new ArrayMap(origin),
  hash: (origin) => new HashMap(origin, "hash"),
  perCpuHash: (origin) => new HashMap(origin, "perCpuHash"),
  lruHash: (origin) => new HashMap(origin, "lruHash"),
  lruPerCpuHash: (origin) => new HashMap(origin, "lruPerCpuHash"),
  progArray: (origin) => new ProgArrayMap(origin),
  stackTrace: (origin) => new StackTraceMap(origin),
  perfEventArray: (origin) => new PerfEventArrayMap(origin),
  ringbuf: (origin, options) => new RingbufMap(origin, options),
  userRingbuf: (origin) => new UserRingbufMap(origin),
};

/**
 * Throws MAP_CREATE with the kernel's errno, UNSUPPORTED_MAP_TYPE for a type without storage, ARENA_EXHAUSTED. A map with
 * `initial` bytes holds them, and is frozen if the spec says so.
 */
export function createMap(world: MapWorld, definition: MapSpec, options: CreateOptions = {}): BpfMap {
  const type = mapTypeByName(definition.type);
  if (type?.storage == null)
    throw new UnsupportedError(
      "UNSUPPORTED_MAP_TYPE",
      `map type ${definition.type}`,
      `map ${definition.name}: bpfjit has no map of type ${definition.type}`,
    );
  const spec = sized(world, definition, type);
  checkDefinition(spec, type);
  const owned: number[] = [];
  try {
    const map = MAKERS[type.storage]({ world, spec, owned }, options);
    if (spec.frozen) map.freeze();
    world.maps?.add(map);
    return map;
  } catch (error) {
    for (const address of owned) world.arena.free(address);
    throw error;
  }
}

/**
 * A perf event array of no stated size has a slot for each CPU (libbpf: map_set_def_max_entries()); an LRU hash of lists a CPU
 * has as many elements for each (kernel: htab_map_alloc()).
 */
function sized(world: MapWorld, spec: MapSpec, type: MapTypeSpec): MapSpec {
  const { cpus } = world.arena;
  if (isLru(type) && (spec.flags & MAP_FLAG.NO_COMMON_LRU) !== 0)
    return { ...spec, maxEntries: Math.ceil(spec.maxEntries / cpus) * cpus };
  if (type.entries !== "cpusIfZero" || spec.maxEntries !== 0) return spec;
  return { ...spec, maxEntries: cpus };
}

const isLru = ({ storage }: MapTypeSpec): boolean => storage === "lruHash" || storage === "lruPerCpuHash";

function checkDefinition(spec: MapSpec, type: MapTypeSpec): void {
  const refuse = (errno: ErrnoName, message: string, hint?: string): never => {
    const detail: ErrorDetail = { errno, hint };
    throw new MapError("MAP_CREATE", `map ${spec.name} of type ${spec.type}: ${message}`, detail);
  };
  if ((spec.flags & MAP_FLAG.RDONLY) !== 0 && (spec.flags & MAP_FLAG.WRONLY) !== 0)
    refuse("EINVAL", "it is both read-only and write-only for the user");
  checkFields(refuse, spec);
  if (spec.extra !== 0n) refuse("EINVAL", `map_extra is ${spec.extra}`);
  checkSize(refuse, "key_size", spec.keySize, type.key);
  checkSize(refuse, "value_size", spec.valueSize, type.value);
  checkEntries(refuse, spec, type);
  switch (type.storage) {
    case "hash":
    case "perCpuHash":
    case "lruHash":
    case "lruPerCpuHash":
      checkFlags(refuse, spec, HASH_FLAGS);
      if (!isLru(type) && (spec.flags & MAP_FLAG.NO_COMMON_LRU) !== 0)
        refuse("EINVAL", "NO_COMMON_LRU is for LRU maps");
      if (isLru(type) && (spec.flags & MAP_FLAG.NO_PREALLOC) !== 0)
        refuse("ENOTSUPP", "an LRU map is always preallocated");
      if (spec.keySize + spec.valueSize >= HASH_ELEMENT_LIMIT)
        refuse("E2BIG", `key and value have ${spec.keySize + spec.valueSize} bytes`);
      if (spec.maxEntries > 2 ** 31) refuse("E2BIG", `max_entries is ${spec.maxEntries}`);
      break;
    case "stackTrace":
      checkFlags(refuse, spec, STACK_FLAGS);
      if (spec.valueSize % stackBytes(spec) !== 0 || spec.valueSize / stackBytes(spec) > STACK_DEPTH)
        refuse("EINVAL", `value_size is ${spec.valueSize}: ${STACK_DEPTH} times ${stackBytes(spec)} bytes at most`);
      if (spec.maxEntries > 2 ** 31) refuse("E2BIG", `max_entries is ${spec.maxEntries}`);
      break;
    case "ringbuf":
    case "userRingbuf":
      checkFlags(refuse, spec, MAP_FLAG.NUMA_NODE);
      break;
    default:
      checkFlags(refuse, spec, ARRAY_FLAGS);
      if (spec.type !== "array" && (spec.flags & (MAP_FLAG.MMAPABLE | MAP_FLAG.INNER_MAP)) !== 0)
        refuse("EINVAL", "MMAPABLE and INNER_MAP are for arrays");
      if (spec.type !== "perf_event_array" && (spec.flags & MAP_FLAG.PRESERVE_ELEMS) !== 0)
        refuse("EINVAL", "PRESERVE_ELEMS is for perf event arrays");
      if (type.value === 4 && (spec.flags & (MAP_FLAG.RDONLY_PROG | MAP_FLAG.WRONLY_PROG)) !== 0)
        refuse("EINVAL", "RDONLY_PROG and WRONLY_PROG are not for maps of programs or events");
      if (spec.valueSize > 0x7fff_ffff) refuse("E2BIG", `value_size is ${spec.valueSize}`);
  }
  if ((spec.flags & MAP_FLAG.NUMA_NODE) !== 0 && type.perCpu) refuse("EINVAL", "a per-CPU map has no NUMA node");
  if (type.perCpu && Math.ceil(spec.valueSize / 8) * 8 > PER_CPU_VALUE_LIMIT)
    refuse("E2BIG", `a per-CPU value has ${spec.valueSize} bytes, more than ${PER_CPU_VALUE_LIMIT}`);
}

const WORD_BYTES = 4;

/** The library works on the fields of a value: they must lie in it, one behind the other, and what is locked on its word. */
function checkFields(refuse: Refuse, { fields = [], valueSize }: MapSpec): void {
  let end = 0;
  for (const { kind, offsetBytes, sizeBytes } of fields) {
    const isPlaced = offsetBytes >= end && offsetBytes + sizeBytes <= valueSize;
    const isLockable = kind !== "spinLock" || (offsetBytes % WORD_BYTES === 0 && sizeBytes === WORD_BYTES);
    if (!isPlaced || sizeBytes === 0 || !isLockable) refuse("EINVAL", `its values have no ${kind} at ${offsetBytes}`);
    end = offsetBytes + sizeBytes;
  }
}

type Refuse = (errno: ErrnoName, message: string, hint?: string) => never;

/** Of a map that has no size until the tool gives it one. */
const sizeHint = (what: string): string =>
  `the tool that it belongs to sets it before it loads the object: openObject() and its map, or --set MAP.${what}=N`;

function checkSize(refuse: Refuse, what: string, bytes: number, wanted: MapTypeSpec["key"]): void {
  if (!Number.isInteger(bytes) || bytes < 0 || bytes > 0xffff_ffff) refuse("EINVAL", `${what} is ${bytes}`);
  if (wanted === "any" && bytes === 0) refuse("EINVAL", `${what} is 0, a positive number is needed`, sizeHint(what));
  if (wanted !== "any" && bytes !== (wanted === "zero" ? 0 : wanted))
    refuse("EINVAL", `${what} is ${bytes}, ${wanted} is needed`);
}

function checkEntries(refuse: Refuse, spec: MapSpec, type: MapTypeSpec): void {
  const { maxEntries } = spec;
  if (!Number.isInteger(maxEntries) || maxEntries < 0 || maxEntries > 0xffff_ffff)
    refuse("EINVAL", `max_entries is ${maxEntries}`);
  switch (type.entries) {
    case "positive":
    case "cpusIfZero":
      if (maxEntries === 0) refuse("EINVAL", "max_entries is 0", sizeHint("max_entries"));
      break;
    case "pages":
      if (!Number.isInteger(Math.log2(maxEntries)) || maxEntries % PAGE_BYTES !== 0)
        refuse("EINVAL", `max_entries is ${maxEntries}, a power of two multiple of ${PAGE_BYTES} is needed`);
      break;
    case "zero":
      if (maxEntries !== 0) refuse("EINVAL", `max_entries is ${maxEntries}, 0 is needed`);
      break;
    case "any":
      break;
  }
}

function checkFlags(refuse: Refuse, spec: MapSpec, allowed: number): void {
  const unknown = spec.flags & ~allowed;
  if (unknown !== 0) refuse("EINVAL", `map_flags 0x${(unknown >>> 0).toString(16)} are not for this type`);
}
