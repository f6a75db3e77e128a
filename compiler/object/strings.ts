/**
 * A table of zero-terminated strings, as ELF and BTF keep them. Strings are decoded when asked for and kept.
 *
 * Strings of a table may overlap (linkers merge tails), so a small hostile file could name megabytes again and again:
 * the bytes decoded in all are limited to a multiple of the table, far above what tail merging makes.
 */
import type { BpfError } from "../../base/index.ts";

/** Makes the error for a string at `offsetBytes` of the table. */
export type StringFailure = (message: string, offsetBytes: number) => BpfError;

const OVERLAP_FACTOR = 16;
const OVERLAP_FLOOR_BYTES = 64 * 1024;

export class StringTable {
  readonly bytes: Uint8Array;
  /** the table whose strings come before this one's (split BTF) */
  readonly base: StringTable | null;
  /** where this table's first string is counted from: behind those of `base` */
  readonly firstOffset: number;
  readonly #fail: StringFailure;
  readonly #known = new Map<number, string>();
  #budgetBytes: number;

  constructor(bytes: Uint8Array, fail: StringFailure, base: StringTable | null = null) {
    this.bytes = bytes;
    this.base = base;
    this.firstOffset = base === null ? 0 : base.endOffset;
    this.#fail = fail;
    this.#budgetBytes = OVERLAP_FACTOR * bytes.length + OVERLAP_FLOOR_BYTES;
  }

  get endOffset(): number {
    return this.firstOffset + this.bytes.length;
  }

  /** The table that a string offset falls into, this one for offsets that are outside all. */
  tableOf(offset: number): StringTable {
    return offset < this.firstOffset && this.base !== null ? this.base.tableOf(offset) : this;
  }

  /** Whether a string here or before is `text`, or ends with it. One look over the bytes: nothing is decoded or kept. */
  has(text: string): boolean {
    const { buffer, byteOffset, length } = this.bytes;
    return Buffer.from(buffer, byteOffset, length).includes(`${text}\0`) || this.base?.has(text) === true;
  }

  /** Throws where the offset is outside or the string has no end. */
  at(offset: number): string {
    if (offset < this.firstOffset && this.base !== null) return this.base.at(offset);
    const known = this.#known.get(offset);
    if (known !== undefined) return known;
    const start = offset - this.firstOffset;
    if (!(start >= 0 && start < this.bytes.length))
      throw this.#fail(`string offset ${offset} is outside the ${this.endOffset} bytes of strings`, start);
    const end = this.bytes.indexOf(0, start);
    if (end < 0) throw this.#fail(`the string at ${offset} has no end`, start);
    this.#budgetBytes -= end - start + 1;
    if (this.#budgetBytes < 0) throw this.#fail("strings overlap beyond all measure", start);
    const text = decode(this.bytes, start, end);
    this.#known.set(offset, text);
    return text;
  }
}

const DECODER = new TextDecoder();

/** Nearly all strings are short ASCII, for which a decoder costs more than it does. */
function decode(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > 64) return DECODER.decode(bytes.subarray(start, end));
  let text = "";
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x80) return DECODER.decode(bytes.subarray(start, end));
    text += String.fromCharCode(byte);
  }
  return text;
}
