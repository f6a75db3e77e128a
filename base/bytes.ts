/** Bytes and hexadecimal. Reading a foreign format goes through `ByteReader`, which cannot leave its window. */

/** Lower-case hexadecimal, no prefix, two digits a byte. */
export const toHex = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString("hex");

/** Null where the text is not an even number of hexadecimal digits (white space between bytes is allowed). */
export function fromHex(text: string): Uint8Array | null {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) return null;
  return new Uint8Array(Buffer.from(digits, "hex"));
}

/** Makes the error for a read at `offsetBytes` (of the whole window) of `lengthBytes` that does not fit. */
export type OutOfWindow = (offsetBytes: number, lengthBytes: number) => Error;

/** A little-endian window on bytes from outside. Every read is checked; the caller says which error a bad one is. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #outOfWindow: OutOfWindow;

  constructor(bytes: Uint8Array, outOfWindow: OutOfWindow) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#outOfWindow = outOfWindow;
  }

  get length(): number {
    return this.bytes.length;
  }

  /** Throws unless `[offset, offset + length)` lies inside. Offsets may be any number, also NaN or negative. */
  require(offset: number, length: number): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.bytes.length)) throw this.#outOfWindow(offset, length);
  }

  u8(offset: number): number {
    this.require(offset, 1);
    return this.#view.getUint8(offset);
  }
  u16(offset: number): number {
    this.require(offset, 2);
    return this.#view.getUint16(offset, true);
  }
  s16(offset: number): number {
    this.require(offset, 2);
    return this.#view.getInt16(offset, true);
  }
  u32(offset: number): number {
    this.require(offset, 4);
    return this.#view.getUint32(offset, true);
  }
  s32(offset: number): number {
    this.require(offset, 4);
    return this.#view.getInt32(offset, true);
  }
  u64(offset: number): bigint {
    this.require(offset, 8);
    return this.#view.getBigUint64(offset, true);
  }
  /** A u64 as a number; beyond 2^53 it is an offset that no window holds, so it may lose precision. */
  u64Number(offset: number): number {
    return Number(this.u64(offset));
  }
  slice(offset: number, length: number): Uint8Array {
    this.require(offset, length);
    return this.bytes.subarray(offset, offset + length);
  }
  /** The zero-terminated string at `offset`; the terminator must lie inside the window. */
  string(offset: number): string {
    this.require(offset, 1);
    const end = this.bytes.indexOf(0, offset);
    if (end < 0) throw this.#outOfWindow(offset, this.bytes.length - offset + 1);
    return DECODER.decode(this.bytes.subarray(offset, end));
  }
}
const DECODER = new TextDecoder();

/** Text up to the first zero byte, as C would print it. The bytes may be shared memory. */
export function cString(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return DECODER.decode(Uint8Array.from(end < 0 ? bytes : bytes.subarray(0, end)));
}
