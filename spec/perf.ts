/**
 * Numbers of perf's record format, for whoever reads or writes perf.data: record types, sample fields, attributes, features.
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
  EVENT_UPDATE: 78,
  HEADER_FEATURE: 80,
  COMPRESSED: 81,
  COMPRESSED2: 83,
  /** the last that perf has */
  BPF_METADATA: 84,
} as const;

/** `misc` of a record's head: what ran when the kernel wrote it. */
export const MISC = { KERNEL: 1 } as const;

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
/** type and config of what programs write to perf event arrays: PERF_TYPE_SOFTWARE, PERF_COUNT_SW_BPF_OUTPUT */
export const ATTR_TYPE_SOFTWARE = 1;
export const SOFTWARE_BPF_OUTPUT = 10;
/** Bit of perf_event_attr's flag word: records that are no samples end in sample fields too. */
export const ATTR_FLAG_SAMPLE_ID_ALL = 1 << 18;
/** Bit of the flag word: COMM records are written. */
export const ATTR_FLAG_COMM = 1 << 9;

/** Bits of the file header's feature set, in the order of their sections. */
export const FEATURE = {
  TRACING_DATA: 1,
  NRCPUS: 7,
  EVENT_DESC: 12,
  AUXTRACE: 18,
  SAMPLE_TIME: 21,
  DIR_FORMAT: 24,
  COMPRESSED: 27,
  LAST: 255,
} as const;

/** First 8 bytes of perf.data, and what its header has in all: in a file, in a pipe. */
export const MAGIC = "PERFILE2";
export const FILE_HEADER_BYTES = 104;
export const PIPE_HEADER_BYTES = 16;
