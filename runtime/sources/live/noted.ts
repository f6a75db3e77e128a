/** Events that run no programs and are only taken note of: what they need of the kernel's format, and how they become events. */
import { AttachError } from "../../../base/index.ts";
import type { FormatField, TracepointFormat } from "../format.ts";
import type { LiveEvent, LiveRecord } from "./events.ts";
import type { Tracefs } from "./tracefs.ts";

export interface NotedEvent {
  readonly name: string;
  readonly format: TracepointFormat;
}

export const noted = ({ name, format }: NotedEvent, take: (record: LiveRecord) => void): LiveEvent => ({
  name,
  format,
  fires: 0,
  emit: (record) => {
    take(record);
    return true;
  },
});

/** Null: this kernel does not have it. */
export function findEvent(tracefs: Tracefs, name: string): NotedEvent | null {
  const format = tracefs.format(name);
  return format === null ? null : { name, format };
}

/** Throws AttachError where this kernel does not have it. */
export function requireEvent(tracefs: Tracefs, name: string): NotedEvent {
  const event = findEvent(tracefs, name);
  if (event !== null) return event;
  throw new AttachError("ATTACH_TARGET", `this kernel has no event ${name}, which tells who the traced threads are`, {
    hint: "it needs a kernel with CONFIG_FTRACE and CONFIG_ENABLE_DEFAULT_TRACERS or another tracer",
  });
}

/** Null: there is none, or none that can be read as words. */
export const findField = ({ format }: NotedEvent, name: string): FormatField | null =>
  format.fields.find((field) => field.name === name && field.offsetBytes % 4 === 0) ?? null;

/** Throws AttachError where the event's records do not have it. */
export function requireField(event: NotedEvent, name: string): FormatField {
  const field = findField(event, name);
  if (field !== null) return field;
  throw new AttachError("ATTACH_TARGET", `the event ${event.name} of this kernel has no ${name}`);
}
