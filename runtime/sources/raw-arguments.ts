/**
 * Recorded tracepoints as the raw arguments that programs of raw tracepoints get, by the rows of spec/raw-arguments.ts:
 * numbers out of the record, pointers to kernel objects that are made of it.
 *
 * Events are decoded in batches and run afterwards. So an object that an event of the batch shows must not change before
 * that event has run: encode() then refuses, the batch ends there, and the event is the first of the next one.
 */
import type { ArgumentSource, Members, NumberSource, RawArguments } from "../../spec/index.ts";
import { type KernelSpace, latin1, pointerTo } from "../kernel/index.ts";
import { blockStatusOf, operationOf } from "./block.ts";
import type { FormatField, TracepointFormat } from "./format.ts";

export interface RawWorld {
  readonly kernel: KernelSpace;
  /** live, as SourceWorld's */
  readonly view: DataView;
  readonly bytes: Uint8Array;
  /** TASK block of a thread; 0: the idle one of that CPU */
  task(tid: number, cpu: number): number;
}

/** Where an event's record and task lie. */
interface Place {
  payload: number;
  /** TASK block */
  task: number;
  cpu: number;
}

interface Reader {
  /** false: it would change an object that an event of the batch shows */
  fits(place: Place): boolean;
  /** as a u64 */
  value(place: Place): bigint;
}

const WORD_BYTES = 8;

export class RawEncoder {
  readonly #readers: readonly Reader[];
  readonly #shown: Set<number>;
  readonly #world: RawWorld;
  readonly #place: Place = { payload: 0, task: 0, cpu: 0 };

  /** `shown`: objects that events of the batch show; shared by all encoders of a source, cleared with each batch. */
  constructor(row: RawArguments, format: TracepointFormat, world: RawWorld, shown: Set<number>) {
    const compiler = new Compiler(format, world, shown);
    this.#readers = row.args.slice(0, argumentCount(row, format)).map((source) => compiler.argument(source));
    this.#shown = shown;
    this.#world = world;
  }

  get bytes(): number {
    return this.#readers.length * WORD_BYTES;
  }

  /** Writes the arguments to `ctx`. False: nothing was written, the batch must end before this event. */
  encode(payload: number, task: number, cpu: number, ctx: number): boolean {
    const place = this.#place;
    place.payload = payload;
    place.task = task;
    place.cpu = cpu;
    if (this.#shown.size > 0) for (const reader of this.#readers) if (!reader.fits(place)) return false;
    for (let index = 0; index < this.#readers.length; index++) {
      const value = this.#readers[index]!.value(place);
      this.#world.view.setBigUint64(ctx + index * WORD_BYTES, value, true);
    }
    return true;
  }
}

/** How many of the arguments the record tells: it ends before the first number that the recording kernel did not have. */
export function argumentCount(row: RawArguments, format: TracepointFormat): number {
  const missing = row.args.findIndex((source) => {
    const name = fieldOf(source);
    return name !== null && !format.fields.some((field) => field.name === name);
  });
  return missing < 0 ? row.args.length : missing;
}

/** The field without which the argument is not known. */
function fieldOf(source: ArgumentSource): string | null {
  if ("field" in source) return source.field;
  if ("text" in source) return source.text;
  if ("blockStatus" in source) return source.blockStatus;
  if ("task" in source) return source.task === "current" ? null : source.task;
  return null;
}

/** Members by what sets them, of an object at an address. */
interface MemberWriter {
  fits(address: number, place: Place): boolean;
  write(address: number, place: Place): void;
}

class Compiler {
  readonly #format: TracepointFormat;
  readonly #world: RawWorld;
  readonly #shown: Set<number>;

  constructor(format: TracepointFormat, world: RawWorld, shown: Set<number>) {
    this.#format = format;
    this.#world = world;
    this.#shown = shown;
  }

  argument(source: ArgumentSource): Reader {
    if ("task" in source) return this.#task(source);
    if ("object" in source) return this.#object(source);
    if ("text" in source) return this.#text(source.text);
    const number = this.#number(source);
    return { fits: () => true, value: number };
  }

  #number(source: ArgumentSource): (place: Place) => bigint {
    const world = this.#world;
    if ("constant" in source) {
      const value = BigInt(source.constant);
      return () => value;
    }
    if ("blockStatus" in source) {
      const read = this.#read({ field: source.blockStatus });
      return (place) => BigInt(blockStatusOf(Number(BigInt.asIntN(32, read(place)))));
    }
    if ("operation" in source) {
      const field = this.#field(source.operation);
      if (field === null) return () => 0n;
      return ({ payload }) => {
        const at = payload + field.offsetBytes;
        return BigInt(operationOf(world.bytes.subarray(at, at + field.sizeBytes)));
      };
    }
    return "field" in source ? this.#read(source) : () => 0n;
  }

  #read(source: NumberSource): (place: Place) => bigint {
    const field = this.#field(source.field);
    if (field === null) return () => 0n;
    const world = this.#world;
    const bytes = field.length === null ? field.sizeBytes : field.sizeBytes / field.length;
    const offset = field.offsetBytes + (source.index ?? 0) * bytes;
    const mask = BigInt(source.mask ?? -1);
    const shift = BigInt(source.shift ?? 0);
    const times = BigInt(source.times ?? 1);
    const swapped = source.swapped === true;
    const { values = {} } = source;
    const replaced = new Map(Object.entries(values).map(([value, other]) => [BigInt(value), BigInt(other)]));
    return ({ payload }) => {
      const value = readUnsigned(world.view, payload + offset, bytes);
      const shown = BigInt.asUintN(8 * bytes, ((value & mask) >> shift) * times);
      const number = replaced.size === 0 ? shown : (replaced.get(shown) ?? shown);
      return swapped ? ((number & 0xffn) << 8n) | (number >> 8n) : number;
    };
  }

  #text(name: string): Reader {
    const locate = this.#bytes(name);
    const { kernel } = this.#world;
    return {
      fits: () => true,
      value: (place) => {
        const { at, length } = locate(place);
        return pointerTo(kernel.text(at, length));
      },
    };
  }

  #task(source: Extract<ArgumentSource, { task: string }>): Reader {
    const world = this.#world;
    const { kernel } = world;
    const tid = source.task === "current" ? null : this.#read({ field: source.task });
    const members = this.#members(TASK_STRUCT, source.members ?? {});
    const blockOf = (place: Place): number => (tid === null ? place.task : world.task(Number(tid(place)), place.cpu));
    return {
      fits: (place) => {
        const block = blockOf(place);
        const address = kernel.tasks.known(block);
        if (address === 0 || !this.#shown.has(address)) return true;
        return kernel.tasks.isFilledFrom(block) && members.fits(address, place);
      },
      value: (place) => {
        const address = kernel.taskStruct(blockOf(place));
        if (address === 0) return 0n;
        members.write(address, place);
        this.#shown.add(address);
        return pointerTo(address);
      },
    };
  }

  #object(source: Extract<ArgumentSource, { object: string }>): Reader {
    const { kernel } = this.#world;
    const struct: string = source.object;
    const members = this.#members(struct, source.members);
    const identity = this.#identity(source);
    return {
      fits: (place) => {
        const key = identity(place);
        const address = key === null ? 0 : kernel.known(struct, key);
        return address === 0 || !this.#shown.has(address) || members.fits(address, place);
      },
      value: (place) => {
        const key = identity(place);
        const address = key === null ? 0 : kernel.instance(struct, key);
        if (address === 0) return 0n;
        members.write(address, place);
        this.#shown.add(address);
        return pointerTo(address);
      },
    };
  }

  /** Null: a null pointer. */
  #identity(source: Extract<ArgumentSource, { object: string }>): (place: Place) => string | number | null {
    if ("address" in source) {
      const read = this.#read({ field: source.address });
      return (place) => {
        const address = read(place);
        return address === 0n ? null : address.toString(16);
      };
    }
    const reads = source.key.map((name) => this.#keyPart(name));
    if (reads.length === 0) return () => 0;
    if (reads.length === 1) return reads[0]!;
    return (place) => reads.map((read) => read(place)).join(":");
  }

  #keyPart(name: string): (place: Place) => string {
    const field = this.#field(name);
    if (field?.location !== null || field.length !== null) {
      const locate = this.#bytes(name);
      return (place) => {
        const { at, length } = locate(place);
        return latin1(this.#world.bytes.subarray(at, at + length));
      };
    }
    const read = this.#read({ field: name });
    return (place) => read(place).toString();
  }

  #members(struct: string, members: Members): MemberWriter {
    const writers = Object.entries(members).flatMap(([path, source]) => this.#member(struct, path, source) ?? []);
    return {
      fits: (address, place) => writers.every((writer) => writer.fits(address, place)),
      write: (address, place) => {
        for (const writer of writers) writer.write(address, place);
      },
    };
  }

  #member(struct: string, path: string, source: ArgumentSource): MemberWriter | null {
    const { kernel } = this.#world;
    if (kernel.place(struct, path) === null) return null;
    if ("bytes" in source) {
      if (this.#field(source.bytes) === null) return null;
      const locate = this.#bytes(source.bytes);
      return {
        fits: (address, place) => {
          const { at, length } = locate(place);
          return kernel.hasBytes(address, struct, path, at, length);
        },
        write: (address, place) => {
          const { at, length } = locate(place);
          kernel.setBytes(address, struct, path, at, length);
        },
      };
    }
    const name = fieldOf(source);
    if (name !== null && this.#field(name) === null) return null;
    const reader = this.argument(source);
    return {
      // what an object points to is made when it is written: its address then is what it was, or new
      fits: (address, place) =>
        reader.fits(place) && ("object" in source || kernel.hasNumber(address, struct, path, reader.value(place))),
      write: (address, place) => kernel.setNumber(address, struct, path, reader.value(place)),
    };
  }

  /** Bytes of a field: a text up to its zero where it is of char, of variable length or not. */
  #bytes(name: string): (place: Place) => { readonly at: number; readonly length: number } {
    const field = this.#field(name);
    const world = this.#world;
    if (field === null) return ({ payload }) => ({ at: payload, length: 0 });
    const isText = field.type.includes("char");
    return ({ payload }) => {
      let at = payload + field.offsetBytes;
      let length = field.sizeBytes;
      if (field.location !== null) {
        const location = world.view.getUint32(at, true);
        at = (location & 0xffff) + (field.location === "absolute" ? payload : at + field.sizeBytes);
        length = location >>> 16;
      }
      const end = isText ? world.bytes.subarray(at, at + length).indexOf(0) : -1;
      return { at, length: end < 0 ? length : end };
    };
  }

  #field(name: string): FormatField | null {
    return this.#format.fields.find((field) => field.name === name) ?? null;
  }
}

const TASK_STRUCT = "task_struct";

function readUnsigned(view: DataView, at: number, bytes: number): bigint {
  switch (bytes) {
    case 1:
      return BigInt(view.getUint8(at));
    case 2:
      return BigInt(view.getUint16(at, true));
    case 4:
      return BigInt(view.getUint32(at, true));
    default:
      return view.getBigUint64(at, true);
  }
}
