/**
 * One sub-buffer of a CPU's tracing ring, as reading `per_cpu/cpuN/trace_pipe_raw` gives it: a head and records, each with
 * the time that passed since the one before. Records are queued where they lie; their payloads are not looked at.
 *
 *     head:   time of the first record u64 | bytes of records that follow, and flags | records …
 *     record: type_len:5 time_delta:27 | [length or more time u32] | payload
 *
 * Kernel: struct buffer_data_page, struct ring_buffer_event (include/linux/ring_buffer.h); ring_buffer_read_page().
 */
import { CaptureError } from "../../../base/index.ts";

/** Where a page has what, in bytes: `events/header_page` says it. */
export interface PageLayout {
  readonly timestamp: number;
  readonly commit: number;
  readonly data: number;
  /** of a whole page */
  readonly bytes: number;
}

const FIELD = /^\s*field:\s*(?:.*\s)?(\w+);\s*offset:(\d+);\s*size:(\d+);/;

/** Throws CaptureError where the text does not say it. */
export function parsePageLayout(text: string): PageLayout {
  const fields = new Map<string, { readonly offset: number; readonly size: number }>();
  for (const line of text.split("\n")) {
    const [, name, offset, size] = FIELD.exec(line) ?? [];
    if (name !== undefined) fields.set(name, { offset: Number(offset), size: Number(size) });
  }
  const timestamp = fields.get("timestamp");
  const commit = fields.get("commit");
  const data = fields.get("data");
  if (timestamp?.size !== 8 || commit === undefined || data === undefined) {
    throw new CaptureError(
      "CAPTURE_UNSUPPORTED",
      "this kernel's tracing pages are of a form that bpfjit does not know",
    );
  }
  return {
    timestamp: timestamp.offset,
    commit: commit.offset,
    data: data.offset,
    bytes: data.offset + data.size,
  };
}

/** What type_len says beside lengths up to 28 words. */
const TYPE = { long: 0, padding: 29, timeExtend: 30, timeStamp: 31 } as const;
const TYPE_BITS = 5;
const TYPE_MASK = (1 << TYPE_BITS) - 1;
const DELTA_BITS = 27;
/** of the word of flags and length */
const COMMIT_MASK = (1 << 27) - 1;
/** Records before this page were overwritten; how many stands behind its last record, if there was room. */
const MISSED = 1 << 31;
const MISSED_COUNT = 1 << 30;
/** An absolute time has 59 bits; the rest is the page's. */
const STAMP_HIGH_BITS = 27;
const WORD = 2 ** 32;
const NONE = 0n;

/** A point in time, ns, as two unsigned halves: others are counted from it, so that they are exact as numbers. */
export interface TimeBase {
  readonly low: number;
  readonly high: number;
}

export interface RecordSink {
  /** Which mark records of a type (common_type) get; 0: they are skipped. */
  readonly marks: Uint16Array;
  /** `time` in ns since the base; `record`: address of its head */
  push(time: number, record: number, mark: number): void;
}

export interface PageSummary {
  /** of the last record, ns since the base */
  lastTime: number;
  /** records that the ring lost before this page; null: some, it does not say how many */
  missed: bigint | null;
}

/** Queues the records of the page at `page` in order. `words` is the whole memory: index = address / 4. */
export function takePage(
  words: Int32Array,
  page: number,
  layout: PageLayout,
  base: TimeBase,
  sink: RecordSink,
): PageSummary {
  const pageLow = words[(page + layout.timestamp) >>> 2]! >>> 0;
  const pageHigh = words[(page + layout.timestamp + 4) >>> 2]! >>> 0;
  const flags = words[(page + layout.commit) >>> 2]!;
  let at = (page + layout.data) >>> 2;
  const length = flags & COMMIT_MASK;
  if (length > layout.bytes - layout.data || (length & 3) !== 0) throw malformed(`says that it holds ${length} bytes`);
  const end = at + (length >>> 2);
  const { marks } = sink;
  let time = (pageHigh - base.high) * WORD + (pageLow - base.low);
  while (at < end) {
    const head = words[at]!;
    const kind = head & TYPE_MASK;
    const delta = head >>> TYPE_BITS;
    let size: number;
    if (kind === TYPE.timeExtend) {
      time += (words[at + 1]! >>> 0) * 2 ** DELTA_BITS + delta;
      size = 2;
    } else if (kind === TYPE.timeStamp) {
      const upper = words[at + 1]! >>> 0;
      const low = ((upper << DELTA_BITS) | delta) >>> 0;
      const high = ((upper >>> TYPE_BITS) | ((pageHigh >>> STAMP_HIGH_BITS) << STAMP_HIGH_BITS)) >>> 0;
      time = (high - base.high) * WORD + (low - base.low);
      size = 2;
    } else if (kind === TYPE.padding) {
      // without a time it fills the rest of the page, with one it is a record that was taken back
      if (delta === 0) break;
      time += delta;
      size = 1 + ((words[at + 1]! + 3) >>> 2);
    } else {
      time += delta;
      const isLong = kind === TYPE.long;
      size = 1 + (isLong ? (words[at + 1]! + 3) >>> 2 : kind);
      const payload = at + (isLong ? 2 : 1);
      if (at + size > end || size < 2) throw malformed(`has a record of ${size * 4} bytes at ${at * 4 - page}`);
      const mark = payload + 2 > at + size ? 0 : marks[words[payload]! & 0xffff]!;
      if (mark !== 0) sink.push(time, at * 4, mark);
    }
    if (size < 1 || at + size > end) throw malformed(`has an entry of ${size * 4} bytes at ${at * 4 - page}`);
    at += size;
  }
  return { lastTime: time, missed: missedBefore(words, end, flags) };
}

/** The count is 64 bits wide on 64-bit kernels, which are all that bpfjit's programs come from. */
function missedBefore(words: Int32Array, end: number, flags: number): bigint | null {
  if ((flags & MISSED) === 0) return NONE;
  if ((flags & MISSED_COUNT) === 0) return null;
  return BigInt(words[end]! >>> 0) | (BigInt(words[end + 1]! >>> 0) << 32n);
}

/** Address of the payload of a record that takePage() queued. */
export const payloadOf = (words: Int32Array, record: number): number =>
  (words[record >>> 2]! & TYPE_MASK) === TYPE.long ? record + 8 : record + 4;

/** Bytes of its payload. */
export function payloadBytesOf(words: Int32Array, record: number): number {
  const kind = words[record >>> 2]! & TYPE_MASK;
  return kind === TYPE.long ? words[(record >>> 2) + 1]! - 4 : kind * 4;
}

const malformed = (what: string): CaptureError =>
  new CaptureError("CAPTURE_MALFORMED", `a page of the kernel's tracing ring ${what}`);
