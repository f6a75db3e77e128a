/**
 * What programs read of kernel objects beside what was given: outside an object, of members that nobody set, through pointers
 * that lead nowhere. Such reads answer zeros or -EFAULT, as they do in the kernel; a runtime that is made with `strict` has the
 * library tell of every read of kernel memory, and keeps here, by program and place, those that found nothing.
 */
import { NULL_GUARD_BYTES, POINTER_TAG } from "../../spec/index.ts";
import { flatMembers, isStruct, type StructType } from "../values/index.ts";

/**
 * outside: it begins or ends beyond the object. unset: none of the bytes was given. null: through a null pointer.
 * unknown: at an address that neither the arena nor the source knows.
 */
export type StrayReadKind = "outside" | "unset" | "null" | "unknown";

export interface StrayRead {
  readonly kind: StrayReadKind;
  /** null: none of a link or test run */
  readonly program: string | null;
  /** of the object, null: there is none */
  readonly struct: string | null;
  /** dotted path of what lies there, null: nothing does, or nobody knows */
  readonly member: string | null;
  /** from the start of the object; the address where there is none */
  readonly offsetBytes: bigint;
  readonly bytes: number;
  /** how often */
  readonly count: number;
}

/** Path of the member at an offset of a struct; null: none that is known. */
type MemberNames = (struct: string, offsetBytes: number) => string | null;

interface Block {
  readonly address: number;
  readonly bytes: number;
  readonly marginBytes: number;
  readonly struct: string;
  readonly type: StructType | null;
  /** a byte each, 1: it was given; null: all were */
  readonly given: Uint8Array | null;
}

export interface BlockOptions {
  readonly bytes: number;
  /** around it, where nothing else lies */
  readonly marginBytes: number;
  readonly struct: string;
  /** default: members are not known but by `memberNames` */
  readonly type?: StructType | null;
  /** all of it is given at once */
  readonly isWhole?: boolean;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class ObjectWatch {
  readonly #program: () => string | null;
  readonly #blocks = new Map<number, Block>();
  /** by address; null: blocks came or went since */
  #sorted: readonly Block[] | null = null;
  readonly #strays = new Map<string, Mutable<StrayRead>>();
  /** for structs that only have a name here */
  memberNames: MemberNames = () => null;

  /** `program`: the one that runs. */
  constructor(program: () => string | null) {
    this.#program = program;
  }

  get strays(): readonly StrayRead[] {
    return [...this.#strays.values()].map((stray) => {
      const { kind, struct, member, offsetBytes } = stray;
      if (member !== null || kind !== "unset" || struct === null) return { ...stray };
      return { ...stray, member: this.memberNames(struct, Number(offsetBytes)) };
    });
  }
  clear(): void {
    this.#strays.clear();
  }

  /** An object was made. */
  add(address: number, { bytes, marginBytes, struct, type = null, isWhole = false }: BlockOptions): void {
    const given = isWhole ? null : new Uint8Array(bytes);
    this.#blocks.set(address, { address, bytes, marginBytes, struct, type, given });
    this.#sorted = null;
  }
  remove(address: number): void {
    if (this.#blocks.delete(address)) this.#sorted = null;
  }
  /** It stands for another object from now on. */
  forget(address: number): void {
    this.#blocks.get(address)?.given?.fill(0);
  }
  /** Bytes of an object were set. */
  give(address: number, bytes: number, isKnown = true): void {
    const block = this.#blockAt(address);
    if (block === null) return;
    const from = address - block.address;
    block.given?.fill(isKnown ? 1 : 0, Math.max(0, from), Math.max(0, from + bytes));
  }

  /** A program reads kernel memory. `bytes` of a text: 1. What is no object is told by unknown(), or known to others. */
  read(low: number, high: number, bytes: number): void {
    if (high === 0 && low < NULL_GUARD_BYTES) {
      this.#tell("null", null, BigInt(low), bytes);
      return;
    }
    if (high !== POINTER_TAG) return;
    const block = this.#blockAt(low);
    if (block === null) return;
    const from = low - block.address;
    const isOutside = from < 0 || from + bytes > block.bytes;
    if (isOutside) this.#tell("outside", block, BigInt(from), bytes);
    else if (block.given !== null && !block.given.subarray(from, from + bytes).includes(1)) {
      this.#tell("unset", block, BigInt(from), bytes);
    }
  }
  /** Nobody knows what is there. */
  unknown(address: bigint, bytes: number): void {
    this.#tell("unknown", null, address, bytes);
  }

  #tell(kind: StrayReadKind, block: Block | null, offsetBytes: bigint, bytes: number): void {
    const program = this.#program();
    const struct = block?.struct ?? null;
    const key = `${kind} ${program} ${struct} ${offsetBytes} ${bytes}`;
    const known = this.#strays.get(key);
    if (known !== undefined) {
      known.count++;
      return;
    }
    if (this.#strays.size >= MOST_STRAYS) return;
    const type = kind === "unset" ? (block?.type ?? null) : null;
    const member = type === null ? null : memberAt(type, Number(offsetBytes));
    this.#strays.set(key, { kind, program, struct, member, offsetBytes, bytes, count: 1 });
  }

  /** The object that the address is in, or in the room around it. */
  #blockAt(address: number): Block | null {
    this.#sorted ??= [...this.#blocks.values()].sort((a, b) => a.address - b.address);
    const blocks = this.#sorted;
    let [low, high] = [0, blocks.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (blocks[middle]!.address - blocks[middle]!.marginBytes <= address) low = middle + 1;
      else high = middle;
    }
    const block = blocks[low - 1];
    return block !== undefined && address < block.address + block.bytes + block.marginBytes ? block : null;
  }
}

/** A loop over a wild pointer must not fill the memory. */
const MOST_STRAYS = 4096;

/** Dotted path of the innermost member that lies at the offset, null: padding. */
export function memberAt(type: StructType, offsetBytes: number): string | null {
  for (const { name, offsetBits, bitfieldBits, type: member } of flatMembers(type)) {
    const from = Math.floor(offsetBits / 8);
    const end = bitfieldBits === 0 ? from + member.size : Math.ceil((offsetBits + bitfieldBits) / 8);
    if (offsetBytes < from || offsetBytes >= end) continue;
    const inner = isStruct(member) ? memberAt(member, offsetBytes - from) : null;
    return inner === null ? name : `${name}.${inner}`;
  }
  return null;
}
