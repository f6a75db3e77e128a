/**
 * What every map has: its descriptor in the arena, the user's side of lookup, update, delete and iteration with the
 * kernel's answers, and the end of its life. A storage adds how its elements lie; programs work on the same memory through
 * the same wasm functions.
 */
import { BugError, highU32, lowU32, MapError, UsageError } from "../../base/index.ts";
import {
  ERRNO,
  type ErrnoName,
  errnoName,
  MAP,
  MAP_FLAG,
  type MapSpec,
  type MapStorage,
  type MapTypeSpec,
  mapTypeByName,
  type SpecialField,
  STORAGE_ID,
  UPDATE_FLAG,
  WORKER,
} from "../../spec/index.ts";
import { type Arena, SCRATCH_BYTES } from "../arena.ts";
import type { Library } from "../library.ts";

/** Where maps live: the arena, and the main worker's library with the address of its block. */
export interface MapWorld {
  readonly arena: Arena;
  readonly library: Library;
  readonly worker: number;
  /** of hash functions; the same seed gives the same order of iteration */
  readonly hashSeed?: number | undefined;
  /** the open maps, for who repairs them when a worker dies */
  readonly maps?: Set<BpfMap> | undefined;
  /** Returns when no other worker runs a program; absent: there is none. */
  readonly settle?: (() => void) | undefined;
}

/** What createMap gives a storage. */
export interface MapOrigin {
  readonly world: MapWorld;
  /** checked by createMap */
  readonly spec: MapSpec;
  /** gets the arena memory that the map owns: createMap frees it where the constructor throws, close() in the end */
  readonly owned: number[];
}

/** One value, or of a per-CPU map one value a virtual CPU. Bytes are copies, `valueSize` long. */
export type MapValue = Uint8Array | readonly Uint8Array[];

export interface MapEntry {
  readonly key: Uint8Array;
  readonly value: MapValue;
}

/** What a call of the user does to the map, for permissions. */
type Access = "read" | "write";

export abstract class BpfMap {
  readonly world: MapWorld;
  readonly spec: MapSpec;
  readonly type: MapTypeSpec;
  /** address of the descriptor (MAP in spec/abi.ts), what a compiled module imports */
  readonly address: number;
  readonly id: number;
  #frozen = false;
  #closed = false;
  /** offset of the spin lock in a value */
  readonly #lock: number | null;
  readonly #owned: number[];
  #scratch = 0;

  constructor({ world, spec, owned }: MapOrigin, storage: MapStorage) {
    this.world = world;
    this.spec = spec;
    this.#owned = owned;
    const type = mapTypeByName(spec.type);
    if (type === undefined) throw new BugError(`map type ${spec.type} is in no table`);
    this.type = type;
    this.id = world.arena.takeId();
    this.address = this.own(world.arena.allocate(MAP.bytes, 64));
    this.set(MAP.type, type.id);
    this.set(MAP.keySize, spec.keySize);
    this.set(MAP.valueSize, spec.valueSize);
    this.set(MAP.maxEntries, spec.maxEntries);
    this.set(MAP.flags, spec.flags);
    this.set(MAP.cpus, world.arena.cpus);
    this.set(MAP.id, this.id);
    this.set(MAP.storage, STORAGE_ID[storage]);
    this.#lock = spec.fields?.find((field) => field.kind === "spinLock")?.offsetBytes ?? null;
    this.set(MAP.spinLock, this.#lock === null ? 0 : this.#lock + 1);
    if (spec.fields !== undefined) this.#listFields(spec.fields);
  }

  /** What the library leaves alone when it copies a value. */
  #listFields(fields: readonly SpecialField[]): void {
    const words = [...fields.flatMap((field) => [field.offsetBytes, field.sizeBytes]), this.valueSize, 0];
    const list = this.own(this.world.arena.allocate(4 * words.length));
    for (const [index, word] of words.entries()) this.world.arena.view.setUint32(list + 4 * index, word, true);
    this.set(MAP.fields, list);
  }

  get name(): string {
    return this.spec.name;
  }
  get keySize(): number {
    return this.spec.keySize;
  }
  get valueSize(): number {
    return this.spec.valueSize;
  }
  get maxEntries(): number {
    return this.spec.maxEntries;
  }
  get perCpu(): boolean {
    return this.type.perCpu;
  }
  /** Address of the first value of an array, for a compiled module; 0 where the storage has none. */
  get valuesAddress(): number {
    return this.get(MAP.values);
  }
  get closed(): boolean {
    return this.#closed;
  }
  get frozen(): boolean {
    return this.#frozen;
  }

  /** From now on the user cannot write it. Kernel: BPF_MAP_FREEZE; a second time is -EPERM. */
  freeze(): void {
    this.require("write");
    this.#frozen = true;
  }

  /** The value, null where there is none; with UPDATE_FLAG.LOCK copied under its spin lock. Kernel: BPF_MAP_LOOKUP_ELEM. */
  lookup(key: Uint8Array, flags: number = UPDATE_FLAG.ANY): MapValue | null {
    this.require("read");
    this.requireKey(key);
    if ((flags & UPDATE_FLAG.LOCK) === 0) return this.read(key);
    this.#requireLock();
    const address = this.valueAddress(key);
    if (address === 0) return null;
    const { library } = this.world;
    library.bpf_spin_lock(address + this.#lock!);
    const value = this.copyValue(address);
    library.bpf_spin_unlock(address + this.#lock!);
    return value;
  }

  #requireLock(): void {
    if (this.#lock === null) throw this.error("EINVAL", "BPF_F_LOCK needs a spin lock in the value");
  }

  /** Throws MapError with the errno of the kernel's BPF_MAP_UPDATE_ELEM. A per-CPU map takes one value a virtual CPU. */
  update(key: Uint8Array, value: MapValue, flags: number = UPDATE_FLAG.ANY): void {
    this.require("write");
    this.requireKey(key);
    this.requireValue(value);
    if ((flags & UPDATE_FLAG.LOCK) !== 0) this.#requireLock();
    this.write(key, value, flags);
  }

  /** False where there is no such key. Throws where the type has no delete. Kernel: BPF_MAP_DELETE_ELEM. */
  delete(key: Uint8Array): boolean {
    this.require("write");
    this.requireKey(key);
    return this.remove(key);
  }

  /** Takes an element out and returns its value, null where there is none. Kernel: BPF_MAP_LOOKUP_AND_DELETE_ELEM. */
  lookupAndDelete(key: Uint8Array): MapValue | null {
    this.require("read");
    this.require("write");
    this.requireKey(key);
    if (!this.deletable) throw this.error("ENOTSUPP", "this type has no lookup-and-delete");
    const value = this.read(key);
    if (value !== null) this.remove(key);
    return value;
  }

  /** The key behind `key`, the first where that is null or not in the map; null at the end. Kernel: BPF_MAP_GET_NEXT_KEY. */
  nextKey(key: Uint8Array | null): Uint8Array | null {
    this.require("read");
    if (key !== null) this.requireKey(key);
    return this.after(key);
  }

  /** All elements, copied one by one: what changes behind the one that was given last is seen, as with nextKey(). */
  *entries(): IterableIterator<MapEntry> {
    for (const key of this.keys()) {
      const value = this.lookup(key);
      if (value !== null) yield { key, value };
    }
  }

  *keys(): IterableIterator<Uint8Array> {
    this.require("read");
    let key = this.after(null);
    while (key !== null) {
      // taken before the caller may delete this one
      const next = this.after(key);
      yield key;
      this.requireOpen();
      key = next;
    }
  }

  /** Addresses of the values of a map that is not per CPU, whatever the user may do with it. */
  *values(): IterableIterator<number> {
    for (let key = this.after(null); key !== null; key = this.after(key)) {
      const address = this.valueAddress(key);
      if (address !== 0) yield address;
    }
  }

  /** Deletes every element; an array's values become zeros. */
  clear(): void {
    this.require("write");
    this.removeAll();
  }

  /** How many elements entries() gives. */
  abstract get size(): number;

  /**
   * Address of the value for reading and writing in place (`cpu`: whose, of a per-CPU map), 0 where there is no such element.
   * Holds as long as the element; views on the arena go stale when it grows.
   */
  abstract valueAddress(key: Uint8Array, cpu?: number): number;

  /** Gives the memory back. Programs that use the map must be closed before. A second close does nothing. */
  close(): void {
    if (this.#closed) return;
    this.world.settle?.();
    this.onClose();
    this.#closed = true;
    this.world.maps?.delete(this);
    for (const address of this.#owned) this.world.arena.free(address);
    this.#owned.length = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // What a storage gives. Keys and values have been checked, and that the user may do this.
  protected abstract read(key: Uint8Array): MapValue | null;
  protected abstract write(key: Uint8Array, value: MapValue, flags: number): void;
  protected abstract remove(key: Uint8Array): boolean;
  protected abstract after(key: Uint8Array | null): Uint8Array | null;
  protected abstract removeAll(): void;
  protected abstract get deletable(): boolean;
  /** Called by close() while the map still works. */
  protected onClose(): void {}

  /** A word of the descriptor. */
  protected get(offset: number): number {
    return this.world.arena.view.getUint32(this.address + offset, true);
  }
  protected set(offset: number, value: number): void {
    this.world.arena.view.setUint32(this.address + offset, value, true);
  }

  /** Arena memory that close() gives back. */
  protected own(address: number): number {
    this.#owned.push(address);
    return address;
  }
  protected disown(address: number): void {
    this.#owned.splice(this.#owned.indexOf(address), 1);
    this.world.arena.free(address);
  }

  protected copyOut(address: number, bytes: number): Uint8Array {
    return this.world.arena.bytes.slice(address >>> 0, (address >>> 0) + bytes);
  }

  /** A value as the user sees it: what it keeps beside plain bytes is zeros. Kernel: check_and_init_map_value(). */
  protected copyValue(address: number): Uint8Array {
    const value = this.copyOut(address, this.valueSize);
    for (const { offsetBytes, sizeBytes } of this.spec.fields ?? [])
      value.fill(0, offsetBytes, offsetBytes + sizeBytes);
    return value;
  }

  /** Writes a value past the library, which leaves the same fields alone. */
  protected putValue(value: Uint8Array, address: number): void {
    let from = 0;
    for (const { offsetBytes, sizeBytes } of this.spec.fields ?? []) {
      this.world.arena.bytes.set(value.subarray(from, offsetBytes), address + from);
      from = offsetBytes + sizeBytes;
    }
    this.world.arena.bytes.set(value.subarray(from), address + from);
  }

  /** Puts a key where the library can read it: the worker's scratch buffer, or one of the map's own where it is too long. */
  protected stageKey(key: Uint8Array): number {
    return this.#stage(key, WORKER.scratchKey, 0);
  }
  protected stageValue(value: Uint8Array): number {
    return this.#stage(value, WORKER.scratchValue, this.keySize);
  }

  #stage(bytes: Uint8Array, scratch: number, offset: number): number {
    const { arena, worker } = this.world;
    let address = arena.view.getUint32(worker + scratch, true);
    if (bytes.length > SCRATCH_BYTES) {
      if (this.#scratch === 0) this.#scratch = this.own(arena.allocate(this.keySize + this.valueSize + 16));
      address = this.#scratch + Math.ceil(offset / 8) * 8;
    }
    arena.bytes.set(bytes, address);
    return address;
  }

  /** The value as one buffer, or as one a CPU. */
  protected single(value: MapValue): Uint8Array {
    if (value instanceof Uint8Array) return value;
    throw new BugError("a per-CPU value reached a map that is not per CPU");
  }
  protected perCpuValues(value: MapValue): readonly Uint8Array[] {
    if (!(value instanceof Uint8Array)) return value;
    throw new BugError("a single value reached a per-CPU map");
  }

  /** Throws the error for a negative result of the library. */
  protected check(result: number, doing: string): void {
    if (result < 0) throw this.error(errnoName(result) ?? "EINVAL", doing);
  }

  protected error(errno: ErrnoName, message: string): MapError {
    return new MapError("MAP_OPERATION", `map ${this.name}: ${message} (${errno} ${ERRNO[errno]})`, { errno });
  }

  protected requireOpen(): void {
    if (this.#closed) throw new UsageError("CLOSED", `map ${this.name} is closed`);
  }

  /** Kernel: map_get_sys_perms(). */
  protected require(access: Access): void {
    this.requireOpen();
    if (access === "read" && (this.spec.flags & MAP_FLAG.WRONLY) !== 0)
      throw this.error("EPERM", "it was created write-only for the user");
    if (access === "write" && (this.spec.flags & MAP_FLAG.RDONLY) !== 0)
      throw this.error("EPERM", "it was created read-only for the user");
    if (access === "write" && this.#frozen) throw this.error("EPERM", "it is frozen");
  }

  protected requireKey(key: Uint8Array): void {
    if (key.length !== this.keySize)
      throw new MapError("MAP_KEY_TYPE", `map ${this.name}: the key has ${key.length} bytes, not ${this.keySize}`);
  }

  protected requireValue(value: MapValue): void {
    const values = value instanceof Uint8Array ? [value] : value;
    if (value instanceof Uint8Array === this.perCpu || (this.perCpu && values.length !== this.world.arena.cpus))
      throw new MapError(
        "MAP_KEY_TYPE",
        this.perCpu
          ? `map ${this.name}: an array of ${this.world.arena.cpus} values is needed, one a virtual CPU`
          : `map ${this.name}: one value is needed, the map is not per CPU`,
      );
    for (const one of values)
      if (one.length !== this.valueSize)
        throw new MapError("MAP_KEY_TYPE", `map ${this.name}: a value has ${one.length} bytes, not ${this.valueSize}`);
  }
}

/** A u64 of the arena as a bigint. */
export function readU64(arena: Arena, address: number): bigint {
  return arena.view.getBigUint64(address, true);
}
export function writeU64(arena: Arena, address: number, value: bigint): void {
  arena.view.setUint32(address, lowU32(value), true);
  arena.view.setUint32(address + 4, highU32(value), true);
}
