/**
 * struct perf_event_attr and what follows from it: where a sample of this event has its fields. A sample is laid out by
 * sample_type: fields in a fixed order, present or not, 8 bytes each up to READ, CALLCHAIN and RAW, whose lengths vary.
 * Source: include/uapi/linux/perf_event.h, PERF_RECORD_SAMPLE.
 */
import { type ByteReader, CaptureError } from "../../../base/index.ts";
import {
  ATTR_FLAG_SAMPLE_ID_ALL,
  ATTR_TYPE_SOFTWARE,
  ATTR_TYPE_TRACEPOINT,
  READ_FORMAT,
  SAMPLE,
  SOFTWARE_BPF_OUTPUT,
} from "./records.ts";

export interface PerfAttr {
  readonly type: number;
  readonly config: number;
  readonly sampleType: number;
  readonly readFormat: number;
  readonly sampleIdAll: boolean;
  /** what a sample's ID says which event it belongs to; as numbers, which is exact up to 2^53 */
  readonly ids: readonly number[];
}

/** Bytes of the attr that every version has (PERF_ATTR_SIZE_VER0). */
const ATTR_BYTES_MIN = 64;

/** Reads an attr of `size` bytes at `offset`; newer and longer ones too, whose new fields change nothing here. */
export function readAttr(reader: ByteReader, offset: number, size: number, ids: readonly number[]): PerfAttr {
  if (size < ATTR_BYTES_MIN) {
    throw new CaptureError("CAPTURE_MALFORMED", `an event's attributes have ${size} bytes`, {
      where: { offsetBytes: offset },
    });
  }
  reader.require(offset, size);
  return {
    type: reader.u32(offset),
    config: reader.u64Number(offset + 8),
    sampleType: reader.u32(offset + 24),
    readFormat: reader.u32(offset + 32),
    sampleIdAll: (reader.u32(offset + 40) & ATTR_FLAG_SAMPLE_ID_ALL) !== 0,
    ids,
  };
}

export const isTracepoint = (attr: PerfAttr): boolean => attr.type === ATTR_TYPE_TRACEPOINT;
/** Records that a BPF program wrote: `run -o` writes such recordings, which need no formats. */
export const isBpfOutput = (attr: PerfAttr): boolean =>
  attr.type === ATTR_TYPE_SOFTWARE && attr.config === SOFTWARE_BPF_OUTPUT;
export const hasRawPayload = (attr: PerfAttr): boolean => (attr.sampleType & SAMPLE.RAW) !== 0;

/** Where fields lie, in 32-bit words from the record's start; -1: the sample has no such field. */
export interface SampleLayout {
  readonly id: number;
  readonly tid: number;
  readonly time: number;
  readonly cpu: number;
  /** READ, CALLCHAIN or RAW begin here, whichever is first */
  readonly variable: number;
  /** the size word of RAW where nothing of varying length comes before it, else -1 */
  readonly raw: number;
  readonly readFormat: number;
  readonly hasRead: boolean;
  readonly hasCallchain: boolean;
  readonly hasRaw: boolean;
  /** words of the fixed part, head included: no shorter sample is whole */
  readonly minimum: number;
}

/** A record's head takes two words. */
const HEAD_WORDS = 2;

export function sampleLayout(attr: PerfAttr): SampleLayout {
  const { sampleType } = attr;
  let word = HEAD_WORDS;
  const place = (bit: number): number => {
    if ((sampleType & bit) === 0) return -1;
    word += 2;
    return word - 2;
  };
  const identifier = place(SAMPLE.IDENTIFIER);
  place(SAMPLE.IP);
  const tid = place(SAMPLE.TID);
  const time = place(SAMPLE.TIME);
  place(SAMPLE.ADDR);
  const id = place(SAMPLE.ID);
  place(SAMPLE.STREAM_ID);
  const cpu = place(SAMPLE.CPU);
  place(SAMPLE.PERIOD);
  const hasRead = (sampleType & SAMPLE.READ) !== 0;
  const hasCallchain = (sampleType & SAMPLE.CALLCHAIN) !== 0;
  const hasRaw = (sampleType & SAMPLE.RAW) !== 0;
  return {
    id: identifier >= 0 ? identifier : id,
    tid,
    time,
    cpu,
    variable: word,
    raw: hasRaw && !hasRead && !hasCallchain ? word : -1,
    readFormat: attr.readFormat,
    hasRead,
    hasCallchain,
    hasRaw,
    minimum: word + (hasRaw ? 1 : 0),
  };
}

/**
 * The word that holds the size of RAW in the sample at word `start`, stepping over READ and CALLCHAIN; -1 where the sample
 * ends (at word `end`) before it.
 */
export function locateRaw(words: Int32Array, start: number, end: number, layout: SampleLayout): number {
  let at = locateCallchain(words, start, end, layout);
  if (at < 0) return -1;
  if (layout.hasCallchain) {
    if (at + 2 > end) return -1;
    at += 2 + countOf(words, at) * 2;
  }
  return at + 1 > end ? -1 : at;
}

/** The word that CALLCHAIN begins at, where there is one, or what follows READ; -1 where the sample ends before it. */
export function locateCallchain(words: Int32Array, start: number, end: number, layout: SampleLayout): number {
  const at = start + layout.variable;
  return layout.hasRead ? skipRead(words, at, end, layout.readFormat) : at;
}

function skipRead(words: Int32Array, start: number, end: number, format: number): number {
  const has = (bit: number): number => ((format & bit) === 0 ? 0 : 2);
  const times = has(READ_FORMAT.TOTAL_TIME_ENABLED) + has(READ_FORMAT.TOTAL_TIME_RUNNING);
  const value = 2 + has(READ_FORMAT.ID) + has(READ_FORMAT.LOST);
  if ((format & READ_FORMAT.GROUP) === 0) return start + times + value;
  if (start + 2 > end) return -1;
  return start + 2 + times + countOf(words, start) * value;
}

/** A u64 count; one that no record can hold becomes a number that ends beyond every record. */
const countOf = (words: Int32Array, at: number): number =>
  words[at + 1] === 0 ? words[at]! >>> 0 : Number.MAX_SAFE_INTEGER / 64;

/** The fields behind records that are no samples (sample_id_all), as bytes from the record's end; 0: no such field. */
export interface TrailerLayout {
  readonly time: number;
  readonly cpu: number;
  readonly id: number;
  readonly bytes: number;
}

export function trailerLayout(attr: PerfAttr): TrailerLayout {
  if (!attr.sampleIdAll) return { time: 0, cpu: 0, id: 0, bytes: 0 };
  let bytes = 0;
  const place = (bit: number): number => {
    if ((attr.sampleType & bit) === 0) return 0;
    bytes += 8;
    return bytes;
  };
  // from the end: IDENTIFIER, CPU, STREAM_ID, ID, TIME, TID
  const identifier = place(SAMPLE.IDENTIFIER);
  const cpu = place(SAMPLE.CPU);
  place(SAMPLE.STREAM_ID);
  const id = place(SAMPLE.ID);
  const time = place(SAMPLE.TIME);
  place(SAMPLE.TID);
  return { time, cpu, id: identifier || id, bytes };
}
