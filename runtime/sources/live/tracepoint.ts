/** One of the kernel's own tracepoints: its record is the ctx, where it lies; its raw tracepoint's arguments are made of it. */
import { CaptureError } from "../../../base/index.ts";
import type { TracepointFormat } from "../format.ts";
import type { RawEncoder } from "../raw-arguments.ts";
import type { LiveEvent, LiveRecord } from "./events.ts";

export interface TracepointPlan {
  readonly format: TracepointFormat;
  /** address of the hook of the tracepoint; 0: it is not wanted */
  readonly hook: number;
  /** null: the raw tracepoint is not wanted */
  readonly raw: { readonly hook: number; readonly encoder: RawEncoder } | null;
}

export function tracepointEvent({ format, hook, raw }: TracepointPlan): LiveEvent {
  return {
    name: `${format.system}/${format.name}`,
    format,
    fires: Number(hook !== 0) + Number(raw !== null),
    emit: (record, batch) => {
      // the kernel pads to whole words, and programs may read as much as the format says
      if (record.bytes + WORD_BYTES <= format.sizeBytes) throw short(format, record);
      const ctx = raw === null ? 0 : batch.scratch(raw.encoder.bytes);
      if (raw?.encoder.encode(record.payload, record.task, record.cpu, ctx) === false) return false;
      if (hook !== 0) batch.fire(record, hook, record.payload, record.bytes);
      if (raw !== null) batch.fire(record, raw.hook, ctx, raw.encoder.bytes);
      return true;
    },
  };
}
const WORD_BYTES = 4;

const short = (format: TracepointFormat, { bytes }: LiveRecord): CaptureError =>
  new CaptureError(
    "CAPTURE_MALFORMED",
    `a record of ${format.system}/${format.name} has ${bytes} bytes, its format ${format.sizeBytes}`,
  );
