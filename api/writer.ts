/** Writing samples into a user ring buffer, typed by BTF: what programs drain with bpf_user_ringbuf_drain. */
import { MapError, UsageError } from "../base/index.ts";
import {
  type BpfMap,
  type Sample,
  SampleWriter,
  type SampleWriterOptions,
  UserRingbufMap,
  type Value,
  writeValue,
} from "../runtime/index.ts";
import type { CType } from "../spec/index.ts";

export interface WriterOptions extends SampleWriterOptions {
  /** struct of the object's BTF that the samples are; without it they are bytes */
  readonly type?: string;
}

export function openSampleWriter(
  map: BpfMap,
  types: Readonly<Record<string, CType>>,
  options: WriterOptions = {},
): TypedWriter {
  if (!(map instanceof UserRingbufMap))
    throw new UsageError("USAGE", `map ${map.name} of type ${map.spec.type} takes no samples`, {
      hint: "samples are written to maps of type user_ringbuf",
    });
  const type = options.type === undefined ? null : types[options.type];
  if (type === undefined)
    throw new UsageError("USAGE", `the object has no struct ${options.type} for the samples of ${map.name}`, {
      hint: `it has ${Object.keys(types).sort().join(", ") || "none: it was built without BTF (-g)"}`,
    });
  return new TypedWriter(new SampleWriter(map, options), type);
}

/** Closing it lets another writer go on. */
export class TypedWriter {
  readonly #writer: SampleWriter;
  readonly #type: CType | null;

  constructor(writer: SampleWriter, type: CType | null) {
    this.#writer = writer;
    this.#type = type;
  }

  /** Bytes that are free, of which a sample takes its length and 8, rounded up to 8. */
  get freeBytes(): number {
    return this.#writer.freeBytes;
  }

  /** A value of the struct, or the sample's bytes. False where there is no room until programs drain the ring. */
  write(value: Value): boolean {
    const sample = this.#writer.reserve(this.#bytesOf(value));
    if (sample === null) return false;
    this.#fill(sample, value);
    return true;
  }

  /** As write(), waiting for room. Rejects with the signal's reason. */
  async writeWhenFree(value: Value): Promise<void> {
    this.#fill(await this.#writer.reserveWhenFree(this.#bytesOf(value)), value);
  }

  /** Room in the ring itself; null where there is none now. `bytes`: by default those of the struct. */
  reserve(bytes: number = this.#type?.size ?? 0): Sample | null {
    return this.#writer.reserve(bytes);
  }
  /** As reserve(), waiting for room. */
  reserveWhenFree(bytes: number = this.#type?.size ?? 0): Promise<Sample> {
    return this.#writer.reserveWhenFree(bytes);
  }

  /** What is reserved and not submitted is discarded. */
  close(): void {
    this.#writer.close();
  }
  /** As on other handles of Node: an unref'd writer that waits does not keep the process alive. */
  ref(): this {
    this.#writer.ref();
    return this;
  }
  unref(): this {
    this.#writer.unref();
    return this;
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #bytesOf(value: Value): number {
    if (value instanceof Uint8Array) return value.length;
    if (this.#type !== null) return this.#type.size;
    const { name } = this.#writer.map;
    throw new MapError("MAP_KEY_TYPE", `samples of ${name} have no type: give bytes, or open the writer with one`);
  }

  /** A value that does not fit its struct takes no room. */
  #fill(sample: Sample, value: Value): void {
    try {
      if (value instanceof Uint8Array) sample.bytes.set(value);
      else {
        const { buffer, byteOffset, byteLength } = sample.bytes;
        writeValue(this.#type!, new DataView(buffer, byteOffset, byteLength), 0, value);
      }
    } catch (error) {
      sample.discard();
      throw error;
    }
    sample.submit();
  }
}
