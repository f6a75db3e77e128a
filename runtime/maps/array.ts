/** Arrays and per-CPU arrays; the data sections of an object are arrays of one element. Kernel: kernel/bpf/arraymap.c. */
import { arrayStrides, CACHE_LINE_BYTES, MAP, MAP_PRIVATE, PAGE_BYTES } from "../../spec/index.ts";
import { BpfMap, type MapOrigin, type MapValue } from "./map.ts";

export class ArrayMap extends BpfMap {
  readonly #stride: number;
  readonly #cpuStride: number;

  constructor(origin: MapOrigin) {
    const { world, spec } = origin;
    const perCpu = spec.type === "percpu_array";
    super(origin, perCpu ? "perCpuArray" : "array");
    const { strideBytes, cpuStrideBytes } = arrayStrides(spec);
    this.#stride = strideBytes;
    this.#cpuStride = cpuStrideBytes;
    const bytes = perCpu ? this.#cpuStride * world.arena.cpus : this.#stride * spec.maxEntries;
    const values = this.own(world.arena.allocate(bytes, spec.initial === null ? CACHE_LINE_BYTES : PAGE_BYTES));
    const keys = this.own(world.arena.allocate(4 * spec.maxEntries));
    this.set(MAP.stride, this.#stride);
    this.set(MAP.values, values);
    this.set(MAP.private + MAP_PRIVATE.array.keys, keys);
    this.set(MAP.private + MAP_PRIVATE.array.cpuStride, this.#cpuStride);
    if (spec.initial !== null) world.arena.bytes.set(spec.initial.subarray(0, spec.valueSize), values);
  }

  override get size(): number {
    return this.maxEntries;
  }

  override valueAddress(key: Uint8Array, cpu = 0): number {
    this.requireOpen();
    this.requireKey(key);
    const index = indexOf(key);
    if (index >= this.maxEntries || cpu >= this.world.arena.cpus) return 0;
    return this.valuesAddress + cpu * this.#cpuStride + index * this.#stride;
  }

  protected override read(key: Uint8Array): MapValue | null {
    if (indexOf(key) >= this.maxEntries) return null;
    if (!this.perCpu) return this.copyValue(this.valueAddress(key));
    return Array.from({ length: this.world.arena.cpus }, (_, cpu) => this.copyValue(this.valueAddress(key, cpu)));
  }

  protected override write(key: Uint8Array, value: MapValue, flags: number): void {
    const { library } = this.world;
    const values = this.perCpu ? this.perCpuValues(value) : [this.single(value)];
    const update = this.perCpu ? library.percpu_array_update : library.array_update;
    const result = update(this.address, this.stageKey(key), this.stageValue(values[0]!), BigInt(flags));
    this.check(result, `update of element ${indexOf(key)}`);
    // the library wrote one CPU's value; the user's update writes all
    if (this.perCpu) for (const [cpu, one] of values.entries()) this.putValue(one, this.valueAddress(key, cpu));
  }

  protected override remove(_key: Uint8Array): boolean {
    throw this.error("EINVAL", "an array has no delete");
  }

  protected override after(key: Uint8Array | null): Uint8Array | null {
    return nextIndex(key, this.maxEntries);
  }

  protected override removeAll(): void {
    const bytes = this.perCpu ? this.#cpuStride * this.world.arena.cpus : this.#stride * this.maxEntries;
    this.world.arena.bytes.fill(0, this.valuesAddress, this.valuesAddress + bytes);
  }

  protected override get deletable(): boolean {
    return false;
  }
}

export const indexOf = (key: Uint8Array): number =>
  (key[0]! | (key[1]! << 8) | (key[2]! << 16) | (key[3]! << 24)) >>> 0;

export function indexKey(index: number): Uint8Array {
  return Uint8Array.of(index & 0xff, (index >>> 8) & 0xff, (index >>> 16) & 0xff, index >>> 24);
}

/** Kernel: array_map_get_next_key(). */
export function nextIndex(key: Uint8Array | null, maxEntries: number): Uint8Array | null {
  const index = key === null ? 0xffff_ffff : indexOf(key);
  if (index >= maxEntries) return indexKey(0);
  return index === maxEntries - 1 ? null : indexKey(index + 1);
}
