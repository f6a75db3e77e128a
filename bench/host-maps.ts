/**
 * Maps and rings in TypeScript, as a runtime has them that calls out of Wasm for every helper: their bytes lie in the arena, since
 * programs hold pointers into them, their order in typed arrays. A careful implementation, but for one thread and one reader.
 */
import type { Runtime } from "../api/index.ts";
import { ERRNO, type MapSpec } from "../spec/index.ts";

type Arena = Runtime["world"]["arena"];

/** Addresses in and out; 0 is null, results are 0 or -errno. */
export interface HostMap {
  lookup(key: number): number;
  update(key: number, value: number): number;
  delete(key: number): number;
}

export interface HostRing {
  /** address of the payload, 0 where there is no room */
  reserve(bytes: number): number;
  submit(payload: number): void;
  /** a record of perf's, copied; 0 or -errno */
  output(data: number, bytes: number): number;
  /** takes out all that is there */
  drain(): number;
}

const padded = (bytes: number): number => (bytes + 7) & ~7;

/** Null for types that have none here. */
export function hostMap(arena: Arena, map: MapSpec): HostMap | null {
  switch (map.type) {
    case "array":
    case "percpu_array":
      return new ArrayMap(arena, map);
    case "hash":
    case "percpu_hash":
      return new ChainedHash(arena, map);
    case "lru_hash":
      return map.keySize === 4 ? new RecentHash(arena, map) : null;
    default:
      return null;
  }
}

class ArrayMap implements HostMap {
  readonly #arena: Arena;
  readonly #values: number;
  readonly #stride: number;
  readonly #entries: number;

  constructor(arena: Arena, { valueSize, maxEntries }: MapSpec) {
    this.#arena = arena;
    this.#stride = padded(valueSize);
    this.#entries = maxEntries;
    this.#values = arena.allocate(this.#stride * maxEntries, 64);
  }

  lookup(key: number): number {
    const index = this.#arena.u32[key >>> 2]!;
    return index < this.#entries ? this.#values + index * this.#stride : 0;
  }
  update(key: number, value: number): number {
    const to = this.lookup(key);
    if (to === 0) return -ERRNO.E2BIG;
    this.#arena.bytes.copyWithin(to, value, value + this.#stride);
    return 0;
  }
  delete(): number {
    return -ERRNO.EINVAL;
  }
}

/** Chains of element numbers; an element is its key, padded, then its value. */
class ChainedHash implements HostMap {
  readonly #arena: Arena;
  readonly #elements: number;
  readonly #keyBytes: number;
  readonly #valueBytes: number;
  readonly #words: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  #free = 0;

  constructor(arena: Arena, { keySize, valueSize, maxEntries }: MapSpec) {
    this.#arena = arena;
    this.#keyBytes = padded(keySize);
    this.#valueBytes = padded(valueSize);
    this.#words = keySize >> 2;
    this.#elements = arena.allocate((this.#keyBytes + this.#valueBytes) * maxEntries, 64);
    this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(maxEntries))).fill(-1);
    this.#next = Int32Array.from({ length: maxEntries }, (_, index) => (index + 1 < maxEntries ? index + 1 : -1));
  }

  lookup(key: number): number {
    const element = this.#find(key, this.#heads[this.#bucket(key)]!);
    return element < 0 ? 0 : this.#address(element) + this.#keyBytes;
  }
  update(key: number, value: number): number {
    const { bytes } = this.#arena;
    const bucket = this.#bucket(key);
    let element = this.#find(key, this.#heads[bucket]!);
    if (element < 0) {
      element = this.#free;
      if (element < 0) return -ERRNO.E2BIG;
      this.#free = this.#next[element]!;
      this.#next[element] = this.#heads[bucket]!;
      this.#heads[bucket] = element;
      bytes.copyWithin(this.#address(element), key, key + 4 * this.#words);
    }
    bytes.copyWithin(this.#address(element) + this.#keyBytes, value, value + this.#valueBytes);
    return 0;
  }
  delete(key: number): number {
    const bucket = this.#bucket(key);
    let before = -1;
    for (let element = this.#heads[bucket]!; element >= 0; before = element, element = this.#next[element]!) {
      if (!this.#is(key, element)) continue;
      if (before < 0) this.#heads[bucket] = this.#next[element]!;
      else this.#next[before] = this.#next[element]!;
      this.#next[element] = this.#free;
      this.#free = element;
      return 0;
    }
    return -ERRNO.ENOENT;
  }

  #address(element: number): number {
    return this.#elements + element * (this.#keyBytes + this.#valueBytes);
  }
  #bucket(key: number): number {
    const { u32 } = this.#arena;
    let hash = 0x9e3779b1 | 0;
    for (let word = 0; word < this.#words; word++) {
      hash = Math.imul(hash ^ u32[(key >>> 2) + word]!, 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    return hash & (this.#heads.length - 1);
  }
  #find(key: number, first: number): number {
    let element = first;
    while (element >= 0 && !this.#is(key, element)) element = this.#next[element]!;
    return element;
  }
  #is(key: number, element: number): boolean {
    const { u32 } = this.#arena;
    const at = this.#address(element) >>> 2;
    for (let word = 0; word < this.#words; word++) if (u32[at + word] !== u32[(key >>> 2) + word]) return false;
    return true;
  }
}

/** A Map keeps the order of insertion: the first key is the one used longest ago. Keys of 4 bytes. */
class RecentHash implements HostMap {
  readonly #arena: Arena;
  readonly #values: number;
  readonly #stride: number;
  readonly #most: number;
  readonly #places = new Map<number, number>();

  constructor(arena: Arena, { valueSize, maxEntries }: MapSpec) {
    this.#arena = arena;
    this.#stride = padded(valueSize);
    this.#most = maxEntries;
    this.#values = arena.allocate(this.#stride * maxEntries, 64);
  }

  lookup(key: number): number {
    const id = this.#arena.u32[key >>> 2]!;
    const place = this.#places.get(id);
    if (place === undefined) return 0;
    this.#places.delete(id);
    this.#places.set(id, place);
    return this.#values + place * this.#stride;
  }
  update(key: number, value: number): number {
    const id = this.#arena.u32[key >>> 2]!;
    const place = this.#places.get(id) ?? this.#take();
    this.#places.delete(id);
    this.#places.set(id, place);
    const to = this.#values + place * this.#stride;
    this.#arena.bytes.copyWithin(to, value, value + this.#stride);
    return 0;
  }
  delete(): number {
    return -ERRNO.EINVAL;
  }

  /** A place of its own, that of the oldest where all are taken. */
  #take(): number {
    if (this.#places.size < this.#most) return this.#places.size;
    const [id, place] = this.#places.entries().next().value!;
    this.#places.delete(id);
    return place;
  }
}

const BUSY = 0x8000_0000 | 0;
const RING_HEADER_BYTES = 8;
/** type and size of a perf record, then the length of its payload */
const PERF_HEADER_BYTES = 12;
const PERF_RECORD_SAMPLE = 9;
const PERF_BYTES = 4096 * 1024;

/** Null for maps that are none. */
export function hostRing(arena: Arena, map: MapSpec): HostRing | null {
  if (map.type === "ringbuf") return new Ring(arena, map.maxEntries);
  return map.type === "perf_event_array" ? new Ring(arena, PERF_BYTES) : null;
}

/** Records run on into a tail behind the ring where they reach its end. */
class Ring implements HostRing {
  readonly #arena: Arena;
  readonly #data: number;
  readonly #bytes: number;
  /** in bytes since the beginning */
  #producer = 0;
  #consumer = 0;

  constructor(arena: Arena, bytes: number) {
    this.#arena = arena;
    this.#bytes = bytes;
    this.#data = arena.allocate(2 * bytes, 4096);
  }

  reserve(bytes: number): number {
    const taken = padded(bytes + RING_HEADER_BYTES);
    if (this.#producer + taken - this.#consumer > this.#bytes) return 0;
    const at = this.#data + (this.#producer % this.#bytes);
    this.#arena.i32[at >>> 2] = bytes | BUSY;
    this.#producer += taken;
    return at + RING_HEADER_BYTES;
  }
  submit(payload: number): void {
    const word = (payload - RING_HEADER_BYTES) >>> 2;
    const { i32 } = this.#arena;
    Atomics.store(i32, word, i32[word]! & ~BUSY);
  }
  output(data: number, bytes: number): number {
    const taken = padded(bytes + PERF_HEADER_BYTES);
    if (this.#producer + taken - this.#consumer > this.#bytes) return -ERRNO.ENOSPC;
    const at = this.#data + (this.#producer % this.#bytes);
    const { i32 } = this.#arena;
    i32[at >>> 2] = PERF_RECORD_SAMPLE;
    i32[(at >>> 2) + 1] = taken << 16;
    i32[(at >>> 2) + 2] = taken - PERF_HEADER_BYTES;
    this.#arena.bytes.copyWithin(at + PERF_HEADER_BYTES, data, data + bytes);
    this.#producer += taken;
    return 0;
  }
  drain(): number {
    const bytes = this.#producer - this.#consumer;
    this.#consumer = this.#producer;
    return bytes;
  }
}
