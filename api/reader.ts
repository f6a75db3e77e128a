/**
 * Reading one map's records typed by BTF: in place, where a record is its slot in the buffer and a view on it, or as copies.
 */
import { UsageError } from "../base/index.ts";
import { RecordCopier, type RecordReader, type StructView, viewOf } from "../runtime/index.ts";
import type { CType } from "../spec/index.ts";
import type { MapRecord, RecordTyping } from "./records.ts";

/**
 * A record where it lies in the buffer. One object stands for all records of a reader: what it says is true until the
 * callback that was given it returns. `copy()` outlives that.
 */
export interface RecordInPlace {
  readonly map: string;
  /** virtual CPU that wrote it, null where the buffer does not say */
  readonly cpu: number | null;
  /** ns, null where the buffer does not say */
  readonly time: bigint | null;
  /** its bytes in the buffer itself */
  readonly bytes: Uint8Array;
  /** a getter for every member of its struct, over the buffer itself; undefined where no struct fits */
  readonly view: StructView | undefined;
  copy(): MapRecord;
}

/** Closing it lets another reader go on where it stopped. */
export class TypedReader {
  readonly #reader: RecordReader;
  readonly #typing: RecordTyping;
  readonly #place: Place;

  constructor(reader: RecordReader, typing: RecordTyping) {
    this.#reader = reader;
    this.#typing = typing;
    this.#place = new Place(reader, typing);
  }

  /** Records that no reader got, since the map was made. */
  get lost(): bigint {
    return this.#reader.lost;
  }

  /** Hands all records that are there, `limit` at most, to the callback, in place. Returns how many. */
  drain(callback: (record: RecordInPlace) => void, limit?: number): number {
    return this.#reader.drain(this.#place.handTo(callback), limit);
  }

  /** Hands on every record from here on, in place; see RecordReader.follow(). */
  follow(callback: (record: RecordInPlace) => void): Promise<number> {
    return this.#reader.follow(this.#place.handTo(callback));
  }

  /** Copies, one by one. Leaving the loop closes the reader. */
  records(): AsyncGenerator<MapRecord, void, undefined> {
    return this.#reader.recordsAs(this.#typing.record);
  }

  /** Copies, all that are there at once, `limit` at most. */
  batches(limit?: number): AsyncGenerator<MapRecord[], void, undefined> {
    return this.#reader.batchesAs(this.#typing.record, limit);
  }

  [Symbol.asyncIterator](): AsyncGenerator<MapRecord, void, undefined> {
    return this.records();
  }

  /** No more records will come: whoever reads gets what is left, and the end. */
  end(): void {
    this.#reader.end();
  }
  close(): void {
    this.#reader.close();
  }
  /** As on other handles of Node: an unref'd reader that waits does not keep the process alive. */
  ref(): this {
    this.#reader.ref();
    return this;
  }
  unref(): this {
    this.#reader.unref();
    return this;
  }
  [Symbol.dispose](): void {
    this.close();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

class Place implements RecordInPlace {
  readonly map: string;
  cpu: number | null = null;
  time: bigint | null = null;
  readonly #reader: RecordReader;
  readonly #typing: RecordTyping;
  readonly #views = new Map<CType, StructView>();
  readonly #copier = new RecordCopier();
  /** -1: no callback is under way */
  #address = -1;
  #length = 0;

  constructor(reader: RecordReader, typing: RecordTyping) {
    this.map = reader.map.name;
    this.#reader = reader;
    this.#typing = typing;
  }

  handTo(callback: (record: RecordInPlace) => void) {
    return (address: number, length: number, cpu: number | null, time: bigint | null): void => {
      this.#address = address;
      this.#length = length;
      this.cpu = cpu;
      this.time = time;
      try {
        callback(this);
      } finally {
        this.#address = -1;
      }
    };
  }

  get bytes(): Uint8Array {
    this.#requireOpen();
    return this.#reader.map.world.arena.bytes.subarray(this.#address, this.#address + this.#length);
  }

  get view(): StructView | undefined {
    this.#requireOpen();
    const type = this.#typing.typeOf(this.#length);
    if (type === null) return undefined;
    const known = this.#views.get(type);
    if (known !== undefined) {
      known.$address = this.#address;
      return known;
    }
    const made = new (viewOf(type))(this.#reader.map.world.arena, this.#address);
    this.#views.set(type, made);
    return made;
  }

  copy(): MapRecord {
    this.#requireOpen();
    const data = this.#copier.copy(this.#reader.map.world.arena.bytes, this.#address, this.#length);
    return this.#typing.record(data, this.cpu, this.time);
  }

  #requireOpen(): void {
    if (this.#address >= 0) return;
    throw new UsageError(
      "USAGE",
      `a record of ${this.map} is read behind its callback, when its place may hold another`,
      {
        hint: "record.copy() gives one that stays",
      },
    );
  }
}
