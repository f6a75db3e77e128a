/**
 * Numbers of perf's record format: record types, sample fields, header features.
 * Source: include/uapi/linux/perf_event.h; tools/lib/perf event.h and tools/perf header.h for types from 64 on and features.
 */

/** `type` of a record's head { u32 type; u16 misc; u16 size }. Below 64 the kernel writes them, from 64 on perf itself. */
export const RECORD = {
  LOST: 2,
  COMM: 3,
  FORK: 7,
  SAMPLE: 9,
  AUX: 11,
  LOST_SAMPLES: 13,
  /** the last that the kernel has */
  CALLCHAIN_DEFERRED: 22,
  FIRST_USER: 64,
  HEADER_ATTR: 64,
  HEADER_TRACING_DATA: 66,
  FINISHED_ROUND: 68,
  AUXTRACE_INFO: 70,
  AUXTRACE: 71,
  HEADER_FEATURE: 80,
  COMPRESSED: 81,
  COMPRESSED2: 83,
  /** the last that perf has */
  BPF_METADATA: 84,
} as const;

/** Records whose content cannot be skipped, with the words for it. */
export const UNREADABLE: ReadonlyMap<number, string> = new Map([
  [RECORD.AUX, "AUX area data (AUX)"],
  [RECORD.AUXTRACE_INFO, "AUX area data (AUXTRACE_INFO)"],
  [RECORD.AUXTRACE, "AUX area data (AUXTRACE)"],
  [RECORD.COMPRESSED, "compressed records (COMPRESSED, perf record -z)"],
  [RECORD.COMPRESSED2, "compressed records (COMPRESSED2, perf record -z)"],
]);

export const HEAD_BYTES = 8;
/** `size` of a record is 16 bits wide. */
export const RECORD_BYTES_MAX = 65_535;

/** Bits of perf_event_attr.sample_type. */
export const SAMPLE = {
  IP: 1 << 0,
  TID: 1 << 1,
  TIME: 1 << 2,
  ADDR: 1 << 3,
  READ: 1 << 4,
  CALLCHAIN: 1 << 5,
  ID: 1 << 6,
  CPU: 1 << 7,
  PERIOD: 1 << 8,
  STREAM_ID: 1 << 9,
  RAW: 1 << 10,
  IDENTIFIER: 1 << 16,
} as const;

/** Bits of perf_event_attr.read_format. */
export const READ_FORMAT = {
  TOTAL_TIME_ENABLED: 1 << 0,
  TOTAL_TIME_RUNNING: 1 << 1,
  ID: 1 << 2,
  GROUP: 1 << 3,
  LOST: 1 << 4,
} as const;

/** perf_event_attr.type of a tracepoint, whose config is the tracepoint's id. */
export const ATTR_TYPE_TRACEPOINT = 2;
/** Bit of perf_event_attr's flag word: records that are no samples end in sample fields too. */
export const ATTR_FLAG_SAMPLE_ID_ALL = 1 << 18;

/** Bits of the file header's feature set, in the order of their sections. */
export const FEATURE = {
  TRACING_DATA: 1,
  NRCPUS: 7,
  AUXTRACE: 18,
  DIR_FORMAT: 24,
  COMPRESSED: 27,
  LAST: 255,
} as const;
