/**
 * A map as a user of the library sees it: keys and values typed by BTF where the object has it, bytes otherwise (and always
 * accepted). Works on the same elements as the programs. Records of ring and perf buffers are read through `records()`.
 */
import { MapError, UsageError } from "../base/index.ts";
import type { BpfMap, MapValue, Value } from "../runtime/index.ts";
import { readValue, writeValue } from "../runtime/index.ts";
import { type CType, UPDATE_FLAG } from "../spec/index.ts";

export interface LookupOptions {
  /** under the value's bpf_spin_lock, so that no program is seen half done (BPF_F_LOCK); EINVAL where it has none */
  readonly lock?: boolean;
}

export interface UpdateOptions extends LookupOptions {
  /** any: create or overwrite; create: throws EEXIST where the key is there; existing: throws ENOENT where it is not */
  readonly mode?: "any" | "create" | "existing";
}

const MODES = { any: UPDATE_FLAG.ANY, create: UPDATE_FLAG.NOEXIST, existing: UPDATE_FLAG.EXIST } as const;

const lockFlag = ({ lock }: LookupOptions): number => (lock === true ? UPDATE_FLAG.LOCK : UPDATE_FLAG.ANY);

/** Of a per-CPU map a value is an array with one element a virtual CPU. */
export class TypedMap {
  /** the same map by bytes, and what only some types have */
  readonly raw: BpfMap;

  constructor(raw: BpfMap) {
    this.raw = raw;
  }

  get name(): string {
    return this.raw.name;
  }
  get type(): string {
    return this.raw.spec.type;
  }
  get size(): number {
    return this.raw.size;
  }

  /** Undefined where there is no such key. */
  get(key: Value, options: LookupOptions = {}): Value | undefined {
    const value = this.raw.lookup(this.#encode(this.raw.spec.keyType, this.raw.keySize, key), lockFlag(options));
    return value === null ? undefined : this.#decodeValue(value);
  }

  has(key: Value): boolean {
    return this.raw.lookup(this.#encode(this.raw.spec.keyType, this.raw.keySize, key)) !== null;
  }

  /** Throws MapError with the errno of the kernel's BPF_MAP_UPDATE_ELEM. */
  set(key: Value, value: Value, options: UpdateOptions = {}): void {
    const { keyType, valueType } = this.raw.spec;
    const mode = options.mode ?? "any";
    if (!Object.hasOwn(MODES, mode))
      throw new UsageError("USAGE", `there is no mode ${mode}`, { hint: `there are ${Object.keys(MODES).join(", ")}` });
    const encoded = this.raw.perCpu
      ? this.#perCpu(value).map((one) => this.#encode(valueType, this.raw.valueSize, one))
      : this.#encode(valueType, this.raw.valueSize, value);
    this.raw.update(this.#encode(keyType, this.raw.keySize, key), encoded, MODES[mode] | lockFlag(options));
  }

  /** False where there is no such key. */
  delete(key: Value): boolean {
    return this.raw.delete(this.#encode(this.raw.spec.keyType, this.raw.keySize, key));
  }

  clear(): void {
    this.raw.clear();
  }

  *entries(): IterableIterator<[Value, Value]> {
    for (const { key, value } of this.raw.entries())
      yield [this.#decode(this.raw.spec.keyType, key), this.#decodeValue(value)];
  }

  [Symbol.iterator](): IterableIterator<[Value, Value]> {
    return this.entries();
  }

  #decodeValue(value: MapValue): Value {
    const { valueType } = this.raw.spec;
    return value instanceof Uint8Array
      ? this.#decode(valueType, value)
      : value.map((one) => this.#decode(valueType, one));
  }

  #decode(type: CType | null, bytes: Uint8Array): Value {
    if (type === null) return bytes;
    return readValue(type, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
  }

  #encode(type: CType | null, size: number, value: Value): Uint8Array {
    if (value instanceof Uint8Array) return value;
    if (type === null) throw new MapError("MAP_KEY_TYPE", `map ${this.name} has no BTF for this: give ${size} bytes`);
    const bytes = new Uint8Array(size);
    writeValue(type, new DataView(bytes.buffer), 0, value);
    return bytes;
  }

  #perCpu(value: Value): readonly Value[] {
    if (Array.isArray(value)) return value;
    throw new MapError("MAP_KEY_TYPE", `map ${this.name} is per CPU: give an array with a value for each virtual CPU`);
  }
}
