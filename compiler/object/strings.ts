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
  readonly #fail: StringFailure;
  readonly #known = new Map<number, string>();
  #budgetBytes: number;

  constructor(bytes: Uint8Array, fail: StringFailure) {
    this.bytes = bytes;
    this.#fail = fail;
    this.#budgetBytes = OVERLAP_FACTOR * bytes.length + OVERLAP_FLOOR_BYTES;
  }

  /** Throws where the offset is outside or the string has no end. */
  at(offset: number): string {
    const known = this.#known.get(offset);
    if (known !== undefined) return known;
    if (!(offset >= 0 && offset < this.bytes.length))
      throw this.#fail(`string offset ${offset} is outside the ${this.bytes.length} bytes of strings`, offset);
    const end = this.bytes.indexOf(0, offset);
    if (end < 0) throw this.#fail(`the string at ${offset} has no end`, offset);
    this.#budgetBytes -= end - offset + 1;
    if (this.#budgetBytes < 0) throw this.#fail("strings overlap beyond all measure", offset);
    const text = decode(this.bytes, offset, end);
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
