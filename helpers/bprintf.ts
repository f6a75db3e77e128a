/**
 * Formatting for bpf_trace_printk and bpf_snprintf, in the kernel's two passes: `packArguments` fetches what the arguments
 * name into a buffer of 512 bytes, `printPacked` prints format and buffer. Programs can tell that there is a buffer (a long
 * string uses it up, and the next argument is then -ENOSPC), so it is kept.
 * Kernel: bpf_bprintf_prepare(), bstr_printf().
 *
 * %px prints the address. %p and %pK print a stand-in, as in the kernel, but one that depends on the address alone, so that
 * a replay prints the same again. %ps, %pS and %pB know no kernel symbols and print the address behind 0x.
 */
import { joinU64, unreachable } from "../base/index.ts";
import { ERRNO, type HelperHost, WORKER } from "../spec/index.ts";
import type { FormatPart, InternetStyle, Padding } from "./format.ts";
import { TextBuffer } from "./text.ts";

/** MAX_BPRINTF_BIN_ARGS */
const PACKED_BYTES = 512;
/** Bytes of the buffer at WORKER.scratchValue. */
const SCRATCH_BYTES = 256;
/** Kernel: TASK_SIZE_MAX of x86-64 with four page-table levels; %s takes what lies below for a user address. */
const USER_END = 0x7fff_ffff_f000n;

/** The 64-bit arguments, as unsigned halves. */
export interface FormatArguments {
  readonly count: number;
  low(index: number): number;
  high(index: number): number;
}

/** Returns the packed arguments or a negative errno. */
export function packArguments(
  host: HelperHost,
  parts: readonly FormatPart[],
  args: FormatArguments,
): Uint8Array | number {
  const packer = new Packer(host);
  let used = 0;
  for (const part of parts) {
    if (part.kind === "text") continue;
    if (part.kind === "invalid" || used >= args.count) return -ERRNO.EINVAL;
    if (!packer.pack(part, args.low(used), args.high(used))) return -ERRNO.ENOSPC;
    used++;
  }
  return packer.bytes;
}

/** Prints into `target`, zero-terminated where it has room at all; returns the length that the whole text has. */
export function printPacked(target: Uint8Array, parts: readonly FormatPart[], packed: Uint8Array): number {
  const text = new TextBuffer(target);
  const reader = new PackedReader(packed);
  for (const part of parts) printPart(text, reader, part);
  text.terminate();
  return text.length;
}

type Directive = Exclude<FormatPart, { kind: "text" | "invalid" }>;

class Packer {
  readonly bytes = new Uint8Array(PACKED_BYTES);
  readonly #host: HelperHost;
  #at = 0;

  constructor(host: HelperHost) {
    this.#host = host;
  }

  /** False where there is no room. */
  pack(part: Directive, low: number, high: number): boolean {
    switch (part.kind) {
      case "number":
        return part.wide ? this.#words([low, high]) : this.#words([low]);
      case "pointer":
        return this.#words([low, high]);
      case "char":
        return this.#char(low);
      case "string":
        return this.#string(low, high, joinU64(low, high) < USER_END ? "user" : "kernel");
      case "foreignString":
        return this.#string(low, high, part.space);
      case "backtrace":
        return this.#text(hexAddress(low, high));
      case "internet":
        return this.#internet(part.style, low, high);
    }
  }

  #words(words: readonly number[]): boolean {
    const start = (this.#at + 3) & ~3;
    if (PACKED_BYTES - start < 4 * words.length) return false;
    const view = new DataView(this.bytes.buffer);
    words.forEach((word, index) => {
      view.setUint32(start + 4 * index, word, true);
    });
    this.#at = start + 4 * words.length;
    return true;
  }

  #char(byte: number): boolean {
    if (this.#at >= PACKED_BYTES) return false;
    this.bytes[this.#at++] = byte;
    return true;
  }

  /** A string that cannot be read is an empty one; a string longer than the room is cut. */
  #string(low: number, high: number, space: "kernel" | "user"): boolean {
    const room = PACKED_BYTES - this.#at;
    if (room <= 0) return false;
    const text = this.#read(joinU64(low, high), room - 1, space);
    this.bytes.set(text, this.#at);
    this.bytes[this.#at + text.length] = 0;
    this.#at += text.length + 1;
    return true;
  }

  /** Up to `most` bytes of the string at `address`, without the zero. The scratch buffer is shorter, so piece by piece. */
  #read(address: bigint, most: number, space: "kernel" | "user"): Uint8Array {
    const scratch = this.#host.view.getUint32(this.#host.worker + WORKER.scratchValue, true);
    const text = new Uint8Array(most);
    let length = 0;
    while (length < most) {
      const from = BigInt.asUintN(64, address + BigInt(length));
      const piece = Math.min(SCRATCH_BYTES, most - length + 1);
      const got = this.#host.readString(Number(from & 0xffff_ffffn), Number(from >> 32n), scratch, piece, space);
      if (got < 0) return new Uint8Array(0);
      const bytes = this.#host.bytes.subarray(scratch, scratch + Math.max(got - 1, 0));
      text.set(bytes, length);
      length += bytes.length;
      if (got < piece) break;
    }
    return text.subarray(0, length);
  }

  /** A text that does not fit is cut, and nothing fits behind it. */
  #text(text: string): boolean {
    const room = PACKED_BYTES - this.#at;
    if (room <= 0) return false;
    for (let i = 0; i < Math.min(text.length, room - 1); i++) this.bytes[this.#at + i] = text.charCodeAt(i);
    this.#at += text.length + 1;
    return true;
  }

  /** Addresses that cannot be read are zeros. */
  #internet(style: InternetStyle, low: number, high: number): boolean {
    const bytes = style.endsWith("4") ? 4 : 16;
    if (PACKED_BYTES - this.#at < bytes) return false;
    const scratch = this.#host.view.getUint32(this.#host.worker + WORKER.scratchValue, true);
    const failed = this.#host.readAddress(low, high, scratch, bytes, "kernel") !== 0;
    const address = failed ? new Uint8Array(bytes) : this.#host.bytes.slice(scratch, scratch + bytes);
    return this.#text(internetText(style, address));
  }
}

function internetText(style: InternetStyle, address: Uint8Array): string {
  if (style === "I4") return address.join(".");
  if (style === "i4") return Array.from(address, (byte) => byte.toString().padStart(3, "0")).join(".");
  const groups = Array.from({ length: 8 }, (_, group) => {
    const value = (address[2 * group]! << 8) | address[2 * group + 1]!;
    return value.toString(16).padStart(4, "0");
  });
  return groups.join(style === "I6" ? ":" : "");
}

const hexAddress = (low: number, high: number): string => `0x${joinU64(low, high).toString(16)}`;

class PackedReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Behind the end zeros are read: only an argument skipped by a full target can make the two passes disagree. */
  word(): number {
    this.#at = (this.#at + 3) & ~3;
    const value = this.#at + 4 <= this.#bytes.length ? this.#view.getUint32(this.#at, true) : 0;
    this.#at += 4;
    return value;
  }

  wide(): bigint {
    const low = this.word();
    return joinU64(low, this.word());
  }

  byte(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  string(): Uint8Array {
    const start = Math.min(this.#at, this.#bytes.length);
    const end = this.#bytes.indexOf(0, start);
    const text = this.#bytes.subarray(start, end < 0 ? this.#bytes.length : end);
    this.#at = start + text.length + 1;
    return text;
  }
}

function printPart(text: TextBuffer, packed: PackedReader, part: FormatPart): void {
  switch (part.kind) {
    case "text":
      text.write(part.bytes);
      break;
    case "char":
      text.padded(Uint8Array.of(packed.byte()), part.padding);
      break;
    case "string":
      text.padded(packed.string(), part.padding);
      break;
    case "foreignString":
    case "backtrace":
    case "internet":
      // Text that was made in the first pass. A target that is full leaves it where it is, for the next argument to read.
      if (!text.full) text.write(packed.string());
      break;
    case "number":
      if (part.wide) text.number(packed.wide(), 64, part.style, part.padding);
      else text.number(BigInt(packed.word()), 32, part.style, part.padding);
      break;
    case "pointer":
      printPointer(text, packed.wide(), part.style, part.padding);
      break;
    case "invalid":
      break;
    default:
      unreachable(part);
  }
}

function printPointer(
  text: TextBuffer,
  address: bigint,
  style: "hidden" | "address" | "symbol",
  padding: Padding,
): void {
  if (style === "symbol") {
    text.padded(new TextEncoder().encode(`0x${address.toString(16)}`), padding);
    return;
  }
  const value = style === "address" || isNullOrError(address) ? address : standIn(address);
  const shape = padding.width === -1 ? { ...padding, width: 16, zero: true } : padding;
  text.number(value, 64, "hex", shape);
}

/** NULL and the last page (-errno as a pointer) are no addresses: %p prints them. Kernel: IS_ERR_OR_NULL(). */
const isNullOrError = (address: bigint): boolean => address === 0n || address >= 0xffff_ffff_ffff_f001n;

/** 32 bits that tell addresses apart. The constant is 2^64 divided by the golden ratio. */
const standIn = (address: bigint): bigint => BigInt.asUintN(64, (address + 1n) * 0x9e37_79b9_7f4a_7c15n) >> 32n;
