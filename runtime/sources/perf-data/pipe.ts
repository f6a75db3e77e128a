/**
 * The pipe form of a recording: no file header, everything is records. Those that describe the events come first
 * (HEADER_ATTR, HEADER_FEATURE, HEADER_TRACING_DATA and some that do not matter here); the first record that the kernel
 * wrote ends them.
 */
import { CaptureError } from "../../../base/index.ts";
import type { CaptureInput } from "../input.ts";
import { readTracingData } from "../tracing-data.ts";
import { type PerfAttr, readAttr } from "./attr.ts";
import { idList, malformed, malformedReader, type PerfHeader, readCpus, truncated, unsupported } from "./header.ts";
import { FEATURE, HEAD_BYTES, PIPE_HEADER_BYTES, RECORD, UNREADABLE } from "./records.ts";

export interface PipeHeader extends PerfHeader {
  /** the bytes that were read beyond the header, from `dataStart` on */
  readonly ahead: Uint8Array;
}

/** Largest tracing data that is read; that of all events of a kernel is some 10 MB. */
const TRACING_DATA_BYTES_MAX = 1 << 28;

export async function readPipeHeader(input: CaptureInput): Promise<PipeHeader> {
  const buffer = new ReadAhead(input, PIPE_HEADER_BYTES);
  const attrs: PerfAttr[] = [];
  let formats: PerfHeader["formats"] = new Map();
  let cpus: number | null = null;
  for (;;) {
    const start = buffer.position;
    const head = await buffer.peek(HEAD_BYTES);
    if (head.length === 0) break;
    const reader = malformedReader(head, start, "a record's head");
    const type = reader.u32(0);
    const size = reader.u16(6);
    if (type < RECORD.FIRST_USER || type === RECORD.FINISHED_ROUND) break;
    if (size < HEAD_BYTES) throw malformed(`a record of type ${type} has ${size} bytes`, start);
    const feature = UNREADABLE.get(type);
    if (feature !== undefined) throw unsupported(feature);
    const bytes = await buffer.take(size);
    const record = malformedReader(bytes, start, "a record");
    if (type === RECORD.HEADER_ATTR) attrs.push(readAttrRecord(record));
    if (type === RECORD.HEADER_TRACING_DATA) {
      const length = record.u32(8);
      if (length > TRACING_DATA_BYTES_MAX) throw malformed(`tracing data of ${length} bytes`, start + 8);
      // The data lies behind its record, padded to 8 bytes.
      const at = buffer.position;
      formats = readTracingData((await buffer.take((length + 7) & ~7)).subarray(0, length), at);
    }
    if (type === RECORD.HEADER_FEATURE) {
      const number = record.u64Number(8);
      if (number === FEATURE.NRCPUS) cpus = readCpus(bytes.subarray(16), start + 16);
      if (number === FEATURE.COMPRESSED) throw unsupported("compressed records (perf record -z)");
    }
  }
  if (attrs.length === 0) {
    throw new CaptureError("CAPTURE_MALFORMED", "the recording describes no events before it holds some", {
      where: { offsetBytes: buffer.position },
      hint: "perf record --overwrite describes them at the end of a pipe; record without it, or into a file",
    });
  }
  return {
    attrs,
    formats,
    cpus,
    dataStart: buffer.position,
    dataEnd: null,
    truncated: null,
    ahead: buffer.rest(),
  };
}

/** HEADER_ATTR: the attr, which says its own size, then ids to the record's end. */
function readAttrRecord(record: ReturnType<typeof malformedReader>): PerfAttr {
  const attrSize = record.u32(HEAD_BYTES + 4);
  const idsAt = HEAD_BYTES + attrSize;
  record.require(HEAD_BYTES, attrSize);
  return readAttr(record, HEAD_BYTES, attrSize, idList(record, idsAt, record.length - idsAt));
}

/** Reads an input forwards in blocks and hands out pieces. */
class ReadAhead {
  readonly #input: CaptureInput;
  #buffer = new Uint8Array(0);
  /** of the next byte that is handed out, in the input */
  position: number;

  constructor(input: CaptureInput, position: number) {
    this.#input = input;
    this.position = position;
  }
  /** The next `bytes` bytes, none at the end of the input; they stay. Throws where the input ends inside them. */
  async peek(bytes: number): Promise<Uint8Array> {
    if (this.#buffer.length < bytes) {
      const grown = new Uint8Array(Math.max(bytes, BLOCK_BYTES));
      grown.set(this.#buffer);
      let have = this.#buffer.length;
      while (have < bytes) {
        const read = await this.#input.read(grown.subarray(have), this.position + have);
        if (read === 0) break;
        have += read;
      }
      this.#buffer = grown.subarray(0, have);
    }
    if (this.#buffer.length >= bytes || this.#buffer.length === 0) return this.#buffer.subarray(0, bytes);
    throw truncated("the recording ends inside a record", this.position + this.#buffer.length);
  }
  async take(bytes: number): Promise<Uint8Array> {
    const part = await this.peek(bytes);
    if (part.length < bytes) throw truncated("the recording ends inside a record", this.position);
    this.#buffer = this.#buffer.subarray(bytes);
    this.position += bytes;
    return part;
  }
  rest(): Uint8Array {
    return this.#buffer;
  }
}

/** What is read at once; a live pipe gives what it has. */
const BLOCK_BYTES = 4096;
