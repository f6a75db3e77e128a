/**
 * Prints into a buffer of fixed size as snprintf does: what does not fit is counted, not written.
 * Kernel: number(), string(), widen_string() of lib/vsprintf.c.
 */
import { toS64 } from "../base/index.ts";
import type { NumberStyle, Padding } from "./format.ts";

const BLANK = 0x20;
const ENCODER = new TextEncoder();

export class TextBuffer {
  /** bytes of the whole text, also those that did not fit; wraps as the kernel's int does */
  length = 0;
  readonly #target: Uint8Array;

  constructor(target: Uint8Array) {
    this.#target = target;
  }

  get full(): boolean {
    return this.length >= this.#target.length;
  }

  write(bytes: Uint8Array): void {
    if (!this.full) this.#target.set(bytes.subarray(0, this.#target.length - this.length), this.length);
    this.length += bytes.length;
  }

  /** Ends the text with a zero, in place of its last byte where it was cut. */
  terminate(): void {
    if (this.#target.length === 0) return;
    this.#target[Math.min(this.length, this.#target.length - 1)] = 0;
  }

  padded(bytes: Uint8Array, padding: Padding): void {
    const missing = padding.width - bytes.length;
    if (!padding.left) this.#fill(BLANK, missing);
    this.write(bytes);
    if (padding.left) this.#fill(BLANK, missing);
  }

  /** `value` is unsigned, of `bits` bits. */
  number(value: bigint, bits: 32 | 64, style: NumberStyle, padding: Padding): void {
    const signed = bits === 64 ? toS64(value) : BigInt.asIntN(32, value);
    const negative = style === "signed" && signed < 0n;
    const magnitude = negative ? -signed : value;
    const sign = style === "signed" ? signText(negative, padding) : "";
    const digits = digitsOf(magnitude, style);
    const missing = padding.width - sign.length - digits.length;
    const zeros = padding.zero && !padding.left;
    if (!zeros && !padding.left) this.#fill(BLANK, missing);
    this.write(ENCODER.encode(sign));
    if (zeros) this.#fill(0x30, missing);
    this.write(ENCODER.encode(digits));
    if (padding.left) this.#fill(BLANK, missing);
  }

  #fill(byte: number, count: number): void {
    if (count <= 0) return;
    if (!this.full) this.#target.fill(byte, this.length, Math.min(this.length + count, this.#target.length));
    this.length += count;
  }
}

function signText(negative: boolean, padding: Padding): string {
  if (negative) return "-";
  if (padding.plus) return "+";
  return padding.blank ? " " : "";
}

function digitsOf(magnitude: bigint, style: NumberStyle): string {
  if (style === "hex") return magnitude.toString(16);
  if (style === "HEX") return magnitude.toString(16).toUpperCase();
  return magnitude.toString(10);
}
