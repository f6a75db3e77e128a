/**
 * The output buffer of an iteration, behind a struct seq_file of the target's layout, which programs see. The state is the
 * struct's own members. Kernel: fs/seq_file.c.
 */
import { UnsupportedError } from "../../base/index.ts";
import { SEQUENCE_BYTES, type SequenceFile } from "../../spec/index.ts";
import { type KernelSpace, pointerTo } from "../kernel/index.ts";

const STRUCT = "seq_file";
const MEMBERS = ["buf", "size", "from", "count", "index"] as const;
type Member = (typeof MEMBERS)[number];

interface SeqWorld {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly arena: { allocate(bytes: number, alignment?: number): number; free(address: number): void };
  readonly kernel: KernelSpace;
}

export class SeqFile implements SequenceFile {
  /** of the struct */
  readonly address: number;
  readonly #world: SeqWorld;
  readonly #buffer: number;

  /** Throws UnsupportedError where the target's BTF does not describe the struct. */
  constructor(world: SeqWorld) {
    this.#world = world;
    this.address = world.kernel.create(STRUCT);
    if (this.address === 0 || MEMBERS.some((member) => world.kernel.place(STRUCT, member) === null)) {
      throw new UnsupportedError("UNSUPPORTED_FEATURE", "iterators", "the target's BTF has no struct seq_file");
    }
    this.#buffer = world.arena.allocate(SEQUENCE_BYTES);
    this.#set("buf", pointerTo(this.#buffer));
    this.#set("size", SEQUENCE_BYTES);
  }

  /** Bytes of output that nobody has read, or the buffer's size: then it has overflowed. */
  get count(): number {
    return this.#get("count");
  }
  set count(count: number) {
    this.#set("count", count);
  }
  /** Where what nobody has read begins. */
  get from(): number {
    return this.#get("from");
  }
  set from(from: number) {
    this.#set("from", from);
  }
  /** How many objects were passed, as programs see it. */
  set index(index: number) {
    this.#set("index", index);
  }
  get overflowed(): boolean {
    return this.count === SEQUENCE_BYTES;
  }

  get room(): Uint8Array {
    return this.#world.bytes.subarray(this.#buffer + this.count, this.#buffer + SEQUENCE_BYTES);
  }

  take(bytes: number): boolean {
    const end = this.count + bytes;
    this.count = Math.min(end, SEQUENCE_BYTES);
    return end < SEQUENCE_BYTES;
  }

  /** Hands out at most `most` bytes of what nobody has read. */
  drain(most: number): Uint8Array {
    const { count, from } = this;
    const bytes = Math.min(count, most);
    const start = this.#buffer + from;
    this.count = count - bytes;
    this.from = from + bytes;
    return this.#world.bytes.slice(start, start + bytes);
  }

  close(): void {
    this.#world.kernel.release(this.address);
    this.#world.arena.free(this.#buffer);
  }

  /** Members are u64; what they hold here fits a number. */
  #get(member: Member): number {
    const { offsetBytes } = this.#world.kernel.place(STRUCT, member)!;
    return Number(this.#world.view.getBigUint64(this.address + offsetBytes, true));
  }
  #set(member: Member, value: number | bigint): void {
    this.#world.kernel.setNumber(this.address, STRUCT, member, value);
  }
}

/** The open ones of a world. */
export class SeqFiles {
  readonly #files = new Map<number, SeqFile>();
  #sessions = 0n;

  /** Numbers of iterations, from 1. */
  takeSession(): bigint {
    return ++this.#sessions;
  }
  add(file: SeqFile): void {
    this.#files.set(file.address, file);
  }
  remove(file: SeqFile): void {
    this.#files.delete(file.address);
  }
  /** By the two halves of a pointer; null: it names none. */
  find(low: number, high: number): SeqFile | null {
    const file = this.#files.get(low);
    return file !== undefined && pointerTo(file.address) >> 32n === BigInt(high) ? file : null;
  }
}
