/** Numbers of perf's record format, and what of it cannot be read. */
import { RECORD } from "../../../spec/perf.ts";

export {
  ATTR_FLAG_SAMPLE_ID_ALL,
  ATTR_TYPE_SOFTWARE,
  ATTR_TYPE_TRACEPOINT,
  FEATURE,
  FILE_HEADER_BYTES,
  HEAD_BYTES,
  MAGIC,
  PIPE_HEADER_BYTES,
  READ_FORMAT,
  RECORD,
  RECORD_BYTES_MAX,
  SAMPLE,
  SOFTWARE_BPF_OUTPUT,
} from "../../../spec/perf.ts";

/** Records whose content cannot be skipped, with the words for it. */
export const UNREADABLE: ReadonlyMap<number, string> = new Map([
  [RECORD.AUX, "AUX area data (AUX)"],
  [RECORD.AUXTRACE_INFO, "AUX area data (AUXTRACE_INFO)"],
  [RECORD.AUXTRACE, "AUX area data (AUXTRACE)"],
  [RECORD.COMPRESSED, "compressed records (COMPRESSED, perf record -z)"],
  [RECORD.COMPRESSED2, "compressed records (COMPRESSED2, perf record -z)"],
]);
