/**
 * Records that programs write to ring and perf buffers, as users see them: bytes, and fields where a struct of the object's
 * BTF fits. Which struct: the one that is named, else the only one of the record's size.
 */
import { UsageError } from "../base/index.ts";
import {
  type BpfMap,
  KeylessMap,
  openReader,
  PerfEventArrayMap,
  type PerfReaderOptions,
  type RecordMaker,
  type RecordReader,
  readValue,
  type Value,
} from "../runtime/index.ts";
import { type CType, PERF_SAMPLE } from "../spec/index.ts";

export class MapRecord {
  readonly map: string;
  /** virtual CPU that wrote it, null where the buffer does not say (BPF ring buffers do not) */
  readonly cpu: number | null;
  /** ns, null where the buffer does not say */
  readonly time: bigint | null;
  /** a copy (in memory that records may share); of a perf buffer with the padding that the kernel's records have too */
  readonly data: Uint8Array;
  readonly #type: CType | null;
  #fields: Value | undefined;

  constructor(map: string, cpu: number | null, time: bigint | null, data: Uint8Array, type: CType | null) {
    this.map = map;
    this.cpu = cpu;
    this.time = time;
    this.data = data;
    this.#type = type;
  }

  /** The record as its struct, undefined where none fits. Made when it is first asked for: most of a record's cost. */
  get fields(): Value | undefined {
    if (this.#fields !== undefined || this.#type === null) return this.#fields;
    const { buffer, byteOffset, byteLength } = this.data;
    this.#fields = readValue(this.#type, new DataView(buffer, byteOffset, byteLength), 0);
    return this.#fields;
  }
}

export interface RecordOptions extends PerfReaderOptions {
  /** struct of the object's BTF that the records are */
  readonly type?: string;
}

export const isRecordMap = (map: BpfMap): map is KeylessMap => map instanceof KeylessMap;

/** Opens what a reader needs: of a perf event array a buffer for every virtual CPU that has none, with time and CPU. */
export function openRecordReader(map: BpfMap, cpus: number, options: RecordOptions = {}): RecordReader {
  if (!isRecordMap(map)) throw new UsageError("USAGE", `map ${map.name} of type ${map.spec.type} has no records`);
  if (map instanceof PerfEventArrayMap) {
    for (let cpu = 0; cpu < Math.min(cpus, map.maxEntries); cpu++) {
      if (!map.buffers.has(cpu))
        map.openBuffer(cpu, { sampleType: PERF_SAMPLE.RAW | PERF_SAMPLE.TIME | PERF_SAMPLE.CPU });
    }
  }
  return openReader(map, options);
}

/** Gives records of one map their fields. */
export class RecordTyping {
  readonly #map: BpfMap;
  readonly #types: Readonly<Record<string, CType>>;
  readonly #named: CType | null;
  /** by length of the record */
  readonly #bySize = new Map<number, CType | null>();

  /** Throws UsageError where the object has no struct of that name. */
  constructor(map: BpfMap, types: Readonly<Record<string, CType>>, typeName?: string) {
    this.#map = map;
    this.#types = types;
    this.#named = typeName === undefined ? null : (types[typeName] ?? null);
    if (typeName !== undefined && this.#named === null) {
      const known = Object.keys(types).sort().join(", ");
      throw new UsageError("USAGE", `the object has no struct ${typeName} for the records of ${map.name}`, {
        hint: known === "" ? "it was built without BTF (-g)" : `it has ${known}`,
      });
    }
  }

  /** The type of a record of `length` bytes, null where none fits. */
  typeOf(length: number): CType | null {
    if (this.#named !== null) return this.#named.size <= length ? this.#named : null;
    let type = this.#bySize.get(length);
    if (type === undefined) {
      const fitting = Object.values(this.#types).filter(
        (each) => each.kind === "struct" && this.#recordBytes(each.size) === length,
      );
      type = fitting.length === 1 ? fitting[0]! : null;
      this.#bySize.set(length, type);
    }
    return type;
  }

  /** `data` is the record's own copy. A function, to be handed on. */
  readonly record: RecordMaker<MapRecord> = (data, cpu, time) =>
    new MapRecord(this.#map.name, cpu, time, data, this.typeOf(data.length));

  /** Bytes of the record that a value of `size` bytes becomes: a perf buffer pads so that size word and data fill 8 bytes. */
  #recordBytes(size: number): number {
    return this.#map instanceof PerfEventArrayMap ? Math.ceil((size + 4) / 8) * 8 - 4 : size;
  }
}
