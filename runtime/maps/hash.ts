/** Hashes, per-CPU hashes and their LRU forms. Kernel: kernel/bpf/hashtab.c; the elements' layout and life are wasm/hash-*.wat's. */
import {
  CACHE_LINE_BYTES,
  ELEMENT,
  ELEMENT_LATELY,
  MAP,
  MAP_FLAG,
  MAP_PRIVATE,
  type MapStorage,
} from "../../spec/index.ts";
import { BpfMap, type MapOrigin, type MapValue } from "./map.ts";

const WORDS = MAP_PRIVATE.hash;

export type HashStorage = Extract<MapStorage, "hash" | "perCpuHash" | "lruHash" | "lruPerCpuHash">;

export class HashMap extends BpfMap {
  readonly #cpuStride: number;

  constructor(origin: MapOrigin, storage: HashStorage) {
    const { world, spec } = origin;
    super(origin, storage);
    const { perCpu } = this;
    const { arena } = world;
    const buckets = 2 ** Math.ceil(Math.log2(spec.maxEntries));
    const stride = Math.ceil(spec.valueSize / 8) * 8;
    const valueOffset = ELEMENT.key + Math.ceil(spec.keySize / 8) * 8;
    const elementBytes = perCpu ? valueOffset : valueOffset + stride;
    // an update of an existing key takes a spare element, one a CPU; a per-CPU hash is updated in place
    const elements = perCpu ? spec.maxEntries : spec.maxEntries + arena.cpus;
    this.#cpuStride = perCpu ? Math.ceil((stride * elements) / CACHE_LINE_BYTES) * CACHE_LINE_BYTES : 0;

    this.#word("buckets", this.own(arena.allocate(4 * buckets, CACHE_LINE_BYTES)));
    this.#word("bucketMask", buckets - 1);
    this.#word("elements", this.own(arena.allocate(elementBytes * elements, CACHE_LINE_BYTES)));
    this.#word("elementBytes", elementBytes);
    this.#word("keyOffset", ELEMENT.key);
    this.#word("valueOffset", valueOffset);
    this.#word("cpuStride", this.#cpuStride);
    this.#word("spares", this.own(arena.allocate(4 * arena.cpus)));
    // Kernel: BPF_F_ZERO_SEED
    this.#word("seed", (spec.flags & MAP_FLAG.ZERO_SEED) !== 0 ? 0 : (world.hashSeed ?? 0));
    if (perCpu) {
      this.set(MAP.stride, stride);
      this.set(MAP.values, this.own(arena.allocate(this.#cpuStride * arena.cpus, CACHE_LINE_BYTES)));
    }
  }

  override get size(): number {
    this.requireOpen();
    return this.get(MAP.count);
  }

  override valueAddress(key: Uint8Array, cpu = 0): number {
    this.requireOpen();
    this.requireKey(key);
    const element = this.world.library.hash_find(this.address, this.stageKey(key)) >>> 0;
    return element === 0 || cpu >= this.world.arena.cpus ? 0 : this.#valueOf(element, cpu);
  }

  protected override read(key: Uint8Array): MapValue | null {
    const element = this.world.library.hash_find(this.address, this.stageKey(key)) >>> 0;
    if (element === 0) return null;
    if (!this.perCpu) return this.copyValue(this.#valueOf(element, 0));
    return Array.from({ length: this.world.arena.cpus }, (_, cpu) => this.copyValue(this.#valueOf(element, cpu)));
  }

  protected override write(key: Uint8Array, value: MapValue, flags: number): void {
    const { library } = this.world;
    const values = this.perCpu ? this.perCpuValues(value) : [this.single(value)];
    const update = this.perCpu ? library.percpu_hash_update : library.hash_update;
    const result = update(this.address, this.stageKey(key), this.stageValue(values[0]!), BigInt(flags));
    this.check(result, "update");
    // the library wrote one CPU's value; the user's update writes all
    if (this.perCpu)
      for (const [cpu, one] of values.entries()) {
        const address = this.valueAddress(key, cpu);
        // another worker may have deleted it meanwhile
        if (address !== 0) this.putValue(one, address);
      }
  }

  protected override remove(key: Uint8Array): boolean {
    return this.world.library.hash_delete(this.address, this.stageKey(key)) === 0;
  }

  /** Kernel: htab_map_get_next_key(). */
  protected override after(key: Uint8Array | null): Uint8Array | null {
    const { library } = this.world;
    const position = key === null ? 0 : library.hash_find(this.address, this.stageKey(key));
    const next = library.map_next(this.address, position) >>> 0;
    return next === 0 ? null : this.copyOut(next + ELEMENT.key, this.keySize);
  }

  protected override removeAll(): void {
    for (const key of this.keys()) this.remove(key);
  }

  protected override get deletable(): boolean {
    return true;
  }

  #valueOf(element: number, cpu: number): number {
    if (!this.perCpu) return element + this.get(MAP.private + WORDS.valueOffset);
    const values = this.world.arena.view.getUint32(element + ELEMENT.values, true) & ~ELEMENT_LATELY;
    return (values >>> 0) + cpu * this.#cpuStride;
  }

  #word(name: keyof typeof WORDS, value: number): void {
    this.set(MAP.private + WORDS[name], value);
  }
}
