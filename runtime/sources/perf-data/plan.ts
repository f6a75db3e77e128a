/** What a recording's events are, and which of them a run wants: one plan an event, made once, read for every sample. */
import { CaptureError } from "../../../base/index.ts";
import type { SourceEvent, WantedHook } from "../../source.ts";
import type { TracepointFormat } from "../format.ts";
import {
  hasRawPayload,
  isTracepoint,
  type PerfAttr,
  type SampleLayout,
  sampleLayout,
  type TrailerLayout,
  trailerLayout,
} from "./attr.ts";
import { type PerfHeader, unsupported } from "./header.ts";
import { HEAD_BYTES } from "./records.ts";

export interface EventPlan extends SampleLayout {
  /** address of the hook that its samples fire; 0: they are skipped */
  readonly hook: number;
  /** bytes that a payload has at least: its format's, and the common_* fields */
  readonly payloadBytes: number;
  readonly trailer: TrailerLayout;
}

/** The tracepoints that the recording has samples of, each once. */
export function listEvents(header: PerfHeader): SourceEvent[] {
  const formats = new Set(header.attrs.map((attr) => formatOf(attr, header)));
  return [...formats].flatMap((format) =>
    format === null
      ? []
      : [{ kind: "tracepoint", name: eventName(format), ctxBytes: format.sizeBytes, type: format.type } as const],
  );
}

/** By index of the event. Throws where samples cannot be told apart, or a wanted event has no payload. */
export function planEvents(header: PerfHeader, wanted: readonly WantedHook[]): EventPlan[] {
  const hooks = new Map(wanted.filter((hook) => hook.kind === "tracepoint").map((hook) => [hook.name, hook.address]));
  const plans = header.attrs.map((attr): EventPlan => {
    const format = formatOf(attr, header);
    const hook = format === null ? 0 : (hooks.get(eventName(format)) ?? 0);
    if (hook !== 0 && !hasRawPayload(attr)) {
      const message = `${eventName(format!)} was recorded without its payload`;
      throw new CaptureError("CAPTURE_UNSUPPORTED", message, { hint: "record with perf record -R" });
    }
    return {
      ...sampleLayout(attr),
      hook,
      payloadBytes: Math.max(HEAD_BYTES, format?.sizeBytes ?? 0),
      trailer: trailerLayout(attr),
    };
  });
  requireDistinguishable(plans);
  return plans;
}

const eventName = (format: TracepointFormat): string => `${format.system}/${format.name}`;

function formatOf(attr: PerfAttr, header: PerfHeader): TracepointFormat | null {
  return isTracepoint(attr) ? (header.formats.get(attr.config) ?? null) : null;
}

/** Samples of several events must carry an id, all at the same place. perf sees to it by IDENTIFIER. */
function requireDistinguishable(plans: readonly EventPlan[]): void {
  if (plans.length < 2) return;
  if (plans.some((plan) => plan.id < 0 || plan.id !== plans[0]!.id || plan.trailer.id !== plans[0]!.trailer.id)) {
    throw unsupported("samples of several events whose ids do not lie at one place");
  }
}
