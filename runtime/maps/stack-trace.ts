/**
 * Stack traces: a map that bpf_get_stackid() fills with call chains, a slot each, whose number is the chain's hash cut to the
 * number of slots. Values are addresses, behind them zeros. Kernel: kernel/bpf/stackmap.c; the helper is wasm/stack.wat's.
 */
import { BUILD_ID, MAP, MAP_FLAG, MAP_PRIVATE, type MapSpec, STACK_BUCKET } from "../../spec/index.ts";
import { indexKey, indexOf } from "./array.ts";
import { BpfMap, type MapOrigin, type MapValue } from "./map.ts";

const WORDS = MAP_PRIVATE.stackTrace;

export const STACK_FLAGS = MAP_FLAG.NUMA_NODE | MAP_FLAG.RDONLY | MAP_FLAG.WRONLY | MAP_FLAG.STACK_BUILD_ID;

/** Bytes of an address in a value. */
export const stackBytes = ({ flags }: Pick<MapSpec, "flags">): number =>
  (flags & MAP_FLAG.STACK_BUILD_ID) === 0 ? 8 : BUILD_ID.bytes;

export class StackTraceMap extends BpfMap {
  readonly #buckets: number;
  readonly #slots: number;
  readonly #elements: number;
  readonly #elementBytes: number;

  constructor(origin: MapOrigin) {
    super(origin, "stackTrace");
    const { world, spec } = origin;
    this.#buckets = 2 ** Math.ceil(Math.log2(spec.maxEntries));
    this.#slots = this.own(world.arena.allocate(4 * this.#buckets));
    this.#elementBytes = STACK_BUCKET.data + spec.valueSize;
    this.#elements = this.own(world.arena.allocate(this.#elementBytes * spec.maxEntries, 8));
    this.set(MAP.private + WORDS.buckets, this.#slots);
    this.set(MAP.private + WORDS.bucketMask, this.#buckets - 1);
    this.repair();
  }

  /** Puts every element that no slot names on the list of free ones: a worker may have died between the two. */
  repair(): void {
    const { view } = this.world.arena;
    const used = new Set(this.#chains().map(({ element }) => element));
    let free = 0;
    for (let index = this.maxEntries - 1; index >= 0; index--) {
      const element = this.#elements + index * this.#elementBytes;
      if (used.has(element)) continue;
      view.setUint32(element + STACK_BUCKET.next, free, true);
      free = element;
    }
    this.set(MAP.private + WORDS.free, free);
  }

  override get size(): number {
    return this.#chains().length;
  }

  override valueAddress(_key: Uint8Array): number {
    return 0;
  }

  /** Kernel: bpf_stackmap_extract(). */
  protected override read(key: Uint8Array): MapValue | null {
    this.world.settle?.();
    const element = this.#elementIn(indexOf(key));
    if (element === 0) return null;
    const count = this.world.arena.view.getUint32(element + STACK_BUCKET.count, true);
    const value = this.copyOut(element + STACK_BUCKET.data, this.valueSize);
    return value.fill(0, count * stackBytes(this.spec));
  }

  protected override write(_key: Uint8Array, _value: MapValue, _flags: number): void {
    throw this.error("EINVAL", "programs fill it, by bpf_get_stackid");
  }

  /** Kernel: stack_map_delete_elem(). */
  protected override remove(key: Uint8Array): boolean {
    this.world.settle?.();
    const id = indexOf(key);
    if (id < this.#buckets && this.#elementIn(id) === 0) return false;
    this.check(this.world.library.stack_delete(this.address, id), `delete of stack ${id}`);
    return true;
  }

  /** Kernel: stack_map_get_next_key(). */
  protected override after(key: Uint8Array | null): Uint8Array | null {
    const last = key === null ? null : indexOf(key);
    let id = last === null || this.#elementIn(last) === 0 ? 0 : last + 1;
    while (id < this.#buckets && this.#elementIn(id) === 0) id++;
    return id < this.#buckets ? indexKey(id) : null;
  }

  protected override removeAll(): void {
    for (const { id } of this.#chains()) this.remove(indexKey(id));
  }

  protected override get deletable(): boolean {
    return true;
  }

  #elementIn(id: number): number {
    return id < this.#buckets ? this.world.arena.view.getUint32(this.#slots + 4 * id, true) : 0;
  }

  #chains(): { readonly id: number; readonly element: number }[] {
    const { view } = this.world.arena;
    return Array.from({ length: this.#buckets }, (_, id) => ({
      id,
      element: view.getUint32(this.#slots + 4 * id, true),
    })).filter(({ element }) => element !== 0);
  }
}
