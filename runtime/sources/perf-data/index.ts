/** Recordings of perf: openPerfData() makes the source. All else is loaded with the first. */
import type { EventSource } from "../../source.ts";
import type { CaptureInput } from "../input.ts";
import type { PerfDataOptions } from "./options.ts";

/** Reads the recording's header. The input is closed with the source, or at once where this throws. */
export async function openPerfData(input: CaptureInput, options: PerfDataOptions = {}): Promise<EventSource> {
  const { openSource } = await import("./source.ts");
  return openSource(input, options);
}
