/** What opening a recording may be told. */
import type { FormatFallback } from "./header.ts";

export interface PerfDataOptions {
  /**
   * Knows the formats of events by id, for a file that was cut off before its own; tracefsFormats() does for recordings of
   * the kernel that runs. The recording still ends in CAPTURE_TRUNCATED, whose message says that they were used.
   */
  readonly formats?: FormatFallback;
}
