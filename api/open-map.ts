/**
 * A map of an object that is open and not loaded: everything that libbpf lets a tool change before the load. Nothing exists
 * yet; what is set here is how the map will be made.
 */
import { UsageError } from "../base/index.ts";
import { editMap, type MapEdit } from "../compiler/front.ts";
import type { BpfMap } from "../runtime/index.ts";
import { type CType, type MapSpec, type MapTypeName, type MapVariable, mapTypeByName } from "../spec/index.ts";
import type { TypedMap } from "./map.ts";

/** Says whether changes still count; throws where they do not. */
export type RequireOpen = () => void;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const U32_MAX = 0xffff_ffff;

export class OpenMap {
  readonly name: string;
  /** template of a map of maps; null: none yet, or no map of maps */
  inner: OpenMap | null;
  /** under this name the map is shared through `pins` when it is loaded; null: not pinned */
  #pinName: string | null;
  #reused: BpfMap | null = null;
  #bytes: Uint8Array | null = null;
  readonly #original: MapSpec;
  readonly #edit: Writable<MapEdit> = {};
  readonly #requireOpen: RequireOpen;

  constructor(spec: MapSpec, requireOpen: RequireOpen) {
    this.name = spec.name;
    this.#original = spec;
    this.#requireOpen = requireOpen;
    this.#pinName = spec.pinned ? spec.name : null;
    this.inner = spec.inner === null ? null : new OpenMap(spec.inner, requireOpen);
  }

  /** As the map will be made. */
  get spec(): MapSpec {
    return editMap(this.#original, this.edit ?? {});
  }

  /** What was changed, null where nothing was. */
  get edit(): MapEdit | null {
    const inner = this.inner === null ? null : this.inner.edit === null ? null : this.inner.spec;
    const edit: MapEdit = {
      ...this.#edit,
      ...(inner !== null && { inner }),
      ...(this.#bytes !== null && { initial: this.#bytes }),
    };
    return Object.keys(edit).length === 0 ? null : edit;
  }

  get type(): MapTypeName {
    return this.#edit.type ?? this.#original.type;
  }
  set type(type: MapTypeName) {
    this.#requireOpen();
    if (mapTypeByName(type) === undefined) throw new UsageError("USAGE", `there is no map type ${type}`);
    this.#edit.type = type;
  }

  get maxEntries(): number {
    return this.spec.maxEntries;
  }
  /** Bytes of a ring buffer, which become a power of two of pages; CPUs of a perf buffer, 0: all. */
  set maxEntries(entries: number) {
    this.#edit.maxEntries = this.#count(entries, "max_entries");
  }
  setMaxEntries(entries: number): this {
    this.maxEntries = entries;
    return this;
  }

  get keySize(): number {
    return this.spec.keySize;
  }
  set keySize(bytes: number) {
    this.#edit.keySize = this.#count(bytes, "key_size");
  }
  setKeySize(bytes: number): this {
    this.keySize = bytes;
    return this;
  }

  get valueSize(): number {
    return this.spec.valueSize;
  }
  /** Of a data section: it grows or shrinks at its end, with its last variable where that is an array. */
  set valueSize(bytes: number) {
    const size = this.#count(bytes, "value_size");
    if (this.#original.initial !== null) {
      if (size > MOST_DATA_BYTES) throw new UsageError("USAGE", `${this.name}: a data section of ${size} bytes`);
      this.#bytes = editMap(this.#original, { valueSize: size, initial: this.#current() }).initial;
    }
    this.#edit.valueSize = size;
  }
  setValueSize(bytes: number): this {
    this.valueSize = bytes;
    return this;
  }

  get flags(): number {
    return this.spec.flags;
  }
  set flags(flags: number) {
    this.#edit.flags = this.#count(flags, "map_flags");
  }
  setFlags(flags: number): this {
    this.flags = flags;
    return this;
  }

  get numaNode(): number | null {
    return this.spec.numaNode;
  }
  set numaNode(node: number | null) {
    this.#requireOpen();
    this.#edit.numaNode = node === null ? null : this.#count(node, "numa_node");
  }

  /** map_extra, of which each map type makes its own (hash functions of a bloom filter) */
  get extra(): bigint {
    return this.spec.extra;
  }
  set extra(value: bigint) {
    this.#requireOpen();
    this.#edit.extra = BigInt.asUintN(64, value);
  }

  get pinName(): string | null {
    return this.#pinName;
  }
  set pinName(name: string | null) {
    this.#requireOpen();
    if (name === "") throw new UsageError("USAGE", `${this.name}: an empty pin name`);
    this.#pinName = name;
    this.#edit.pinned = name !== null;
  }

  get keyType(): CType | null {
    return this.spec.keyType;
  }
  get valueType(): CType | null {
    return this.spec.valueType;
  }
  /** ELF section of a data map: `.rodata`, `.data.config`, `.kconfig`; null for others */
  get section(): string | null {
    return this.#original.section;
  }
  get variables(): readonly MapVariable[] {
    return this.spec.variables;
  }

  /** Gives a map of maps its template: what its inner maps look like. */
  setInner(inner: Pick<MapSpec, "type" | "keySize" | "valueSize" | "maxEntries"> & { readonly flags?: number }): this {
    this.#requireOpen();
    if (this.type !== "array_of_maps" && this.type !== "hash_of_maps")
      throw new UsageError("USAGE", `${this.name} is no map of maps`);
    const { type, keySize, valueSize, maxEntries, flags = 0 } = inner;
    const spec: MapSpec = {
      ...this.#original,
      name: `${this.name}.inner`,
      ...{ type, keySize, valueSize, maxEntries, flags, keyType: null, valueType: null, inner: null },
      ...{ innerMaps: [], pinned: false, numaNode: null, extra: 0n },
    };
    this.inner = new OpenMap(spec, this.#requireOpen);
    this.#edit.inner = spec;
    return this;
  }

  /** Takes a map that exists instead of making one; its definition must be the same at the load. */
  reuse(map: BpfMap | TypedMap): this {
    this.#requireOpen();
    this.#reused = "raw" in map ? map.raw : map;
    return this;
  }
  get reused(): BpfMap | null {
    return this.#reused;
  }

  /** Bytes of a data section, to look at. */
  readBytes(): DataView {
    return viewOn(this.#current());
  }

  /** The same, to be changed. */
  writeBytes(): DataView {
    this.#requireOpen();
    if (this.section === ".kconfig")
      throw new UsageError("USAGE", "variables of .kconfig are the target's: give its configuration as `kconfig`");
    this.#bytes ??= this.#current().slice();
    return viewOn(this.#bytes);
  }

  #current(): Uint8Array {
    const bytes = this.#bytes ?? this.#original.initial;
    if (bytes === null) throw new UsageError("USAGE", `${this.name} is no data section and has no initial value`);
    return bytes;
  }

  #count(value: number, what: string): number {
    this.#requireOpen();
    if (Number.isInteger(value) && value >= 0 && value <= U32_MAX) return value;
    throw new UsageError("USAGE", `${this.name}: ${what} must be a whole number of 32 bits, not ${value}`);
  }
}

const MOST_DATA_BYTES = 1 << 30;

const viewOn = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
