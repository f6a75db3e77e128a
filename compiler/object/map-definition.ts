/**
 * A BTF-defined map: the struct type of a variable in SEC(".maps"), whose members say what the map is. Integers are the
 * length of an array that the member points to (`__uint`), types what it points to (`__type`).
 * Source: libbpf, parse_btf_map_def().
 */
import { BpfError, ObjectError, UnsupportedError } from "../../base/index.ts";
import { type CType, type MapSpec, mapTypeById } from "../../spec/index.ts";
import type { Btf } from "./btf/btf.ts";
import type { BtfMember } from "./btf/types.ts";

const PAGE_BYTES = 4096;
const PIN_BY_NAME = 1;

export interface MapDefinition {
  readonly spec: MapSpec;
  /** byte offset of the initial slots (`values`) in the variable, null where the map has none */
  readonly slotsOffset: number | null;
}

/** What the members say, as they are read. */
interface Draft {
  typeNumber: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  flags: number;
  keyType: number | null;
  valueType: number | null;
  inner: MapSpec | null;
  slotsOffset: number | null;
  pinned: boolean;
  numaNode: number | null;
  extra: bigint;
}

/** `type` is the id of the definition's struct. */
export function readMapDefinition(btf: Btf, name: string, type: number): MapDefinition {
  return define(btf, name, type, false);
}

function define(btf: Btf, name: string, typeId: number, isInner: boolean): MapDefinition {
  const definition = btf.resolve(typeId);
  if (definition.kind !== "struct") throw invalid(name, `is a ${definition.kind}, not a struct`);
  const draft: Draft = {
    typeNumber: 0,
    keySize: 0,
    valueSize: 0,
    maxEntries: 0,
    flags: 0,
    keyType: null,
    valueType: null,
    inner: null,
    slotsOffset: null,
    pinned: false,
    numaNode: null,
    extra: 0n,
  };
  definition.members.forEach((member, index) => {
    if (member.name === "values") {
      if (isInner) throw invalid(name, "has maps in maps in maps");
      if (index !== definition.members.length - 1) throw invalid(name, "has members behind values");
      readValues(btf, name, member, draft);
    } else readMember(btf, name, member, draft, isInner);
  });
  if (draft.typeNumber === 0) throw invalid(name, "has no type");
  return { spec: specOf(btf, name, draft), slotsOffset: draft.slotsOffset };
}

function readMember(btf: Btf, map: string, member: BtfMember, draft: Draft, isInner: boolean): void {
  switch (member.name) {
    case "type":
      draft.typeNumber = integerOf(btf, map, member);
      return;
    case "max_entries":
      draft.maxEntries = integerOf(btf, map, member);
      return;
    case "map_flags":
      draft.flags = integerOf(btf, map, member);
      return;
    case "numa_node":
      draft.numaNode = integerOf(btf, map, member);
      return;
    case "key_size":
      draft.keySize = agree(map, "key", draft.keySize, integerOf(btf, map, member));
      return;
    case "value_size":
      draft.valueSize = agree(map, "value", draft.valueSize, integerOf(btf, map, member));
      return;
    case "key":
      draft.keyType = targetOf(btf, map, member);
      draft.keySize = agree(map, "key", draft.keySize, sizeOfType(btf, map, "key", draft.keyType));
      return;
    case "value":
      draft.valueType = targetOf(btf, map, member);
      draft.valueSize = agree(map, "value", draft.valueSize, sizeOfType(btf, map, "value", draft.valueType));
      return;
    case "pinning": {
      const pinning = integerOf(btf, map, member);
      if (isInner) throw invalid(map, "is an inner map and cannot be pinned");
      if (pinning > PIN_BY_NAME) throw invalid(map, `has pinning ${pinning}`);
      draft.pinned = pinning === PIN_BY_NAME;
      return;
    }
    case "map_extra":
      draft.extra = longOf(btf, map, member);
      return;
    default:
      throw invalid(map, `has an unknown member ${member.name || "without name"}`);
  }
}

/** `values`: an array without length, of pointers to the inner map's definition or to functions. */
function readValues(btf: Btf, map: string, member: BtfMember, draft: Draft): void {
  const type = mapTypeById(draft.typeNumber)?.name;
  const isMapInMap = type === "array_of_maps" || type === "hash_of_maps";
  if (!isMapInMap && type !== "prog_array") throw invalid(map, "has values, but is no prog_array and no map of maps");
  draft.valueSize = agree(map, "value", draft.valueSize, 4);
  const array = btf.typeById(member.type);
  if (array.kind !== "array" || array.length !== 0) throw invalid(map, "has values that are no array without length");
  const pointer = btf.resolve(array.element);
  if (pointer.kind !== "ptr") throw invalid(map, `has values of kind ${pointer.kind}`);
  const target = btf.resolve(pointer.type);
  if (isMapInMap) draft.inner = define(btf, `${map}.inner`, pointer.type, true).spec;
  else if (target.kind !== "func_proto") throw invalid(map, `has values that point to ${target.kind}`);
  draft.slotsOffset = member.offsetBits / 8;
}

function specOf(btf: Btf, name: string, draft: Draft): MapSpec {
  const type = mapTypeById(draft.typeNumber);
  if (type === undefined)
    throw new UnsupportedError(
      "UNSUPPORTED_MAP_TYPE",
      `map type ${draft.typeNumber}`,
      `map ${name} is of type ${draft.typeNumber}, which bpfjit does not know`,
      { where: { section: ".maps" } },
    );
  const isRing = type.name === "ringbuf" || type.name === "user_ringbuf";
  return {
    name,
    type: type.name,
    keySize: draft.keySize,
    valueSize: draft.valueSize,
    maxEntries: isRing ? ringBytes(draft.maxEntries) : draft.maxEntries,
    flags: draft.flags,
    keyType: draft.keyType === null ? null : ctypeOrNull(btf, draft.keyType),
    valueType: draft.valueType === null ? null : ctypeOrNull(btf, draft.valueType),
    btf: draft.valueType === null ? null : { key: draft.keyType ?? 0, value: draft.valueType },
    initial: null,
    frozen: false,
    section: null,
    variables: [],
    programs: [],
    inner: draft.inner,
    innerMaps: [],
    pinned: draft.pinned,
    numaNode: draft.numaNode,
    extra: draft.extra,
  };
}

/** A type that cannot be shown as a tree (too deep, cyclic) does not keep the map from being used. */
export function ctypeOrNull(btf: Btf, id: number): CType | null {
  try {
    return btf.ctype(id);
  } catch (error) {
    if (error instanceof BpfError) return null;
    throw error;
  }
}

/**
 * A ring buffer's size becomes a page size times a power of two, unless that does not fit in 32 bits.
 * libbpf: adjust_ringbuf_sz().
 */
export function ringBytes(size: number): number {
  const isPowerOfTwo = (n: number) => Number.isInteger(Math.log2(n));
  if (size === 0 || (size % PAGE_BYTES === 0 && isPowerOfTwo(size / PAGE_BYTES))) return size;
  for (let bytes = PAGE_BYTES; bytes < 2 ** 32; bytes *= 2) if (bytes > size) return bytes;
  return size;
}

function integerOf(btf: Btf, map: string, member: BtfMember): number {
  const array = btf.typeById(targetOf(btf, map, member));
  if (array.kind !== "array") throw invalid(map, `says ${member.name} with a ${array.kind} instead of __uint`);
  return array.length;
}

function longOf(btf: Btf, map: string, member: BtfMember): bigint {
  const type = btf.resolve(member.type);
  if (type.kind === "ptr") return BigInt(integerOf(btf, map, member));
  if ((type.kind !== "enum" && type.kind !== "enum64") || type.values.length !== 1)
    throw invalid(map, `says ${member.name} with a ${type.kind} instead of __ulong`);
  return BigInt.asUintN(64, type.values[0]!.value);
}

function targetOf(btf: Btf, map: string, member: BtfMember): number {
  const pointer = btf.resolve(member.type);
  if (pointer.kind !== "ptr") throw invalid(map, `says ${member.name} with a ${pointer.kind} instead of a pointer`);
  return pointer.type;
}

function sizeOfType(btf: Btf, map: string, what: string, id: number): number {
  const size = btf.sizeOf(id);
  if (size === null) throw invalid(map, `has a ${what} type without size`);
  return size;
}

function agree(map: string, what: string, known: number, size: number): number {
  if (known !== 0 && known !== size) throw invalid(map, `has ${what}s of ${known} and of ${size} bytes`);
  return size;
}

export function invalid(map: string, message: string): ObjectError {
  return new ObjectError("MAP_DEFINITION", `map ${map} ${message}`, { where: { section: ".maps" } });
}
