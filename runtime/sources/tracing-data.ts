/**
 * The copy of tracefs that a recording carries ("tracing data", also the head of trace.dat): bytes in, the formats of its
 * events out. Page headers, ftrace's own events, symbols and printk strings are stepped over.
 * Format: trace-cmd's trace.dat(5), version 6; perf writes version 0.6.
 */
import { ByteReader, CaptureError } from "../../base/index.ts";
import { parseFormat, type TracepointFormat } from "./format.ts";

const MAGIC = "\x17\x08Dtracing";
/** More systems or events than any kernel has: a count beyond is damage. */
const COUNT_MAX = 100_000;

/** By id. `baseOffset` is where the bytes lie in the file, for messages. */
export function readTracingData(bytes: Uint8Array, baseOffset: number): ReadonlyMap<number, TracepointFormat> {
  const cursor = new Cursor(bytes, baseOffset);
  for (const expected of MAGIC) {
    if (cursor.u8() !== expected.charCodeAt(0)) throw cursor.malformed("tracing data does not begin with its magic");
  }
  cursor.string(); // version
  if (cursor.u8() !== 0) throw unsupported("big-endian tracing data");
  if (cursor.u8() !== 8) throw unsupported("tracing data of a 32-bit kernel");
  cursor.skip(4); // page size
  for (const name of ["header_page", "header_event"]) {
    if (cursor.string() !== name) throw cursor.malformed(`tracing data lacks ${name}`);
    cursor.skip(cursor.u64());
  }
  for (let left = cursor.count(); left > 0; left--) cursor.skip(cursor.u64());
  return readSystems(cursor);
}

function readSystems(cursor: Cursor): Map<number, TracepointFormat> {
  const formats = new Map<number, TracepointFormat>();
  for (let systems = cursor.count(); systems > 0; systems--) {
    const system = cursor.string();
    for (let events = cursor.count(); events > 0; events--) {
      const format = parseFormat(cursor.text(cursor.u64()), system);
      formats.set(format.id, format);
    }
  }
  return formats;
}

class Cursor {
  readonly #reader: ByteReader;
  readonly #base: number;
  #at = 0;

  constructor(bytes: Uint8Array, base: number) {
    this.#base = base;
    this.#reader = new ByteReader(bytes, (offset) => this.malformed("tracing data ends too early", offset));
  }
  malformed(message: string, offset = this.#at): CaptureError {
    return new CaptureError("CAPTURE_MALFORMED", message, { where: { offsetBytes: this.#base + offset } });
  }
  u8(): number {
    return this.#reader.u8(this.#at++);
  }
  count(): number {
    const count = this.#reader.u32(this.#at);
    this.#at += 4;
    if (count > COUNT_MAX) throw this.malformed(`tracing data counts ${count} entries`, this.#at - 4);
    return count;
  }
  u64(): number {
    const value = this.#reader.u64Number(this.#at);
    this.#at += 8;
    return value;
  }
  skip(bytes: number): void {
    this.#reader.require(this.#at, bytes);
    this.#at += bytes;
  }
  string(): string {
    const text = this.#reader.string(this.#at);
    this.#at = this.#reader.bytes.indexOf(0, this.#at) + 1;
    return text;
  }
  text(bytes: number): string {
    const part = this.#reader.slice(this.#at, bytes);
    this.#at += bytes;
    return new TextDecoder().decode(part);
  }
}

const unsupported = (feature: string): CaptureError =>
  new CaptureError("CAPTURE_UNSUPPORTED", `the recording holds ${feature}`);
