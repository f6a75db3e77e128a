/** What a recording's events are, and which of them a run wants: one plan an event, made once, read for every sample. */
import { CaptureError } from "../../../base/index.ts";
import { type RawArguments, rawArgumentsOfEvent } from "../../../spec/index.ts";
import type { SourceEvent, WantedHook } from "../../source.ts";
import type { TracepointFormat } from "../format.ts";
import { argumentCount } from "../raw-arguments.ts";
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

export interface RawTracepointPlan {
  /** address of the hook */
  readonly hook: number;
  readonly arguments: RawArguments;
  readonly format: TracepointFormat;
}

export interface EventPlan {
  /**
   * Part of the plan, not spread into it: V8 gives each object made by a spread a hidden class of its own, and code is compiled
   * for four of them at most.
   */
  readonly layout: SampleLayout;
  /** samples of it are read */
  readonly isWanted: boolean;
  /** address of the tracepoint that its samples fire; 0: none */
  readonly hook: number;
  /** the raw tracepoint that they fire, too */
  readonly rawTracepoint: RawTracepointPlan | null;
  /** bytes that a payload has at least: its format's, and the common_* fields */
  readonly payloadBytes: number;
  readonly trailer: TrailerLayout;
}

/** The tracepoints that the recording has samples of, each once, and the raw tracepoints that they are turned into. */
export function listEvents(header: PerfHeader): SourceEvent[] {
  const formats = new Set(header.attrs.map((attr) => formatOf(attr, header)));
  return [...formats].flatMap((format) => (format === null ? [] : eventsOf(format)));
}

function eventsOf(format: TracepointFormat): SourceEvent[] {
  const { sizeBytes, type } = format;
  const recorded: SourceEvent = { kind: "tracepoint", name: eventName(format), ctxBytes: sizeBytes, type };
  const raw = rawArgumentsOfEvent(eventName(format));
  if (raw === undefined) return [recorded];
  const ctxBytes = argumentCount(raw, format) * WORD_BYTES;
  return [recorded, { kind: "raw_tracepoint", name: raw.name, ctxBytes }];
}

/** By index of the event. Throws where samples cannot be told apart, or a wanted event has no payload. */
export function planEvents(header: PerfHeader, wanted: readonly WantedHook[]): EventPlan[] {
  const hooks = new Map(wanted.map(({ kind, name, address }) => [`${kind}:${name}`, address]));
  const plans = header.attrs.map((attr): EventPlan => {
    const format = formatOf(attr, header);
    const hook = format === null ? 0 : (hooks.get(`tracepoint:${eventName(format)}`) ?? 0);
    const raw = format === null ? undefined : rawArgumentsOfEvent(eventName(format));
    const rawHook = raw === undefined ? 0 : (hooks.get(`raw_tracepoint:${raw.name}`) ?? 0);
    const isWanted = hook !== 0 || rawHook !== 0;
    if (isWanted && !hasRawPayload(attr)) {
      const message = `${eventName(format!)} was recorded without its payload`;
      throw new CaptureError("CAPTURE_UNSUPPORTED", message, { hint: "record with perf record -R" });
    }
    return {
      layout: sampleLayout(attr),
      isWanted,
      hook,
      rawTracepoint: rawHook === 0 ? null : { hook: rawHook, arguments: raw!, format: format! },
      payloadBytes: Math.max(HEAD_BYTES, format?.sizeBytes ?? 0),
      trailer: trailerLayout(attr),
    };
  });
  requireDistinguishable(plans);
  return plans;
}

const WORD_BYTES = 8;

const eventName = (format: TracepointFormat): string => `${format.system}/${format.name}`;

function formatOf(attr: PerfAttr, header: PerfHeader): TracepointFormat | null {
  return isTracepoint(attr) ? (header.formats.get(attr.config) ?? null) : null;
}

/** Samples of several events must carry an id, all at the same place. perf sees to it by IDENTIFIER. */
function requireDistinguishable(plans: readonly EventPlan[]): void {
  if (plans.length < 2) return;
  if (
    plans.some(
      (plan) =>
        plan.layout.id < 0 || plan.layout.id !== plans[0]!.layout.id || plan.trailer.id !== plans[0]!.trailer.id,
    )
  ) {
    throw unsupported("samples of several events whose ids do not lie at one place");
  }
}
