/**
 * Which events of the kernel feed the hooks that programs are attached to. What cannot be fed is refused by name, with the
 * reason, before anything is enabled.
 */
import { AttachError, UnsupportedError } from "../../../base/index.ts";
import { type HookKind, rawArgumentsOf, rawArgumentsOfEvent } from "../../../spec/index.ts";
import type { SourceEvent, WantedHook } from "../../source.ts";
import { argumentCount, RawEncoder, type RawWorld } from "../raw-arguments.ts";
import type { LiveEvent, LivePlace, LiveProber, LiveProbes } from "./events.ts";
import type { Tracefs } from "./tracefs.ts";
import { tracepointEvent } from "./tracepoint.ts";

const WORD_BYTES = 8;

/** What is known of an event before it is recorded; null: nothing, or there is none. */
export function describeEvent(tracefs: Tracefs, kind: HookKind, name: string): SourceEvent | null {
  if (kind === "tracepoint") {
    const format = tracefs.format(name);
    return format === null ? null : { kind, name, ctxBytes: format.sizeBytes, type: format.type };
  }
  const row = kind === "raw_tracepoint" ? rawArgumentsOf(name) : undefined;
  const format = row === undefined ? null : tracefs.format(row.event);
  return row === undefined || format === null
    ? null
    : { kind, name, ctxBytes: argumentCount(row, format) * WORD_BYTES };
}

export interface PlannedEvents {
  readonly events: readonly LiveEvent[];
  readonly probes: readonly LiveProbes[];
}

/** What raw tracepoints are made with. */
export interface RawMaking {
  readonly world: RawWorld;
  /** kernel objects that events of the batch show */
  readonly shown: Set<number>;
}

/** Throws AttachError or UnsupportedError for a hook that cannot be fed; nothing is left behind then. */
export function planEvents(
  place: LivePlace,
  wanted: readonly WantedHook[],
  probers: readonly LiveProber[],
  raw: RawMaking,
): PlannedEvents {
  const tracepoints = planTracepoints(place.tracefs, wanted, raw);
  for (const { kind, name } of wanted) {
    if (!isTracepoint(kind) && !probers.some(({ kinds }) => kinds.includes(kind)))
      throw refused(place.tracefs, kind, name);
  }
  const probes: LiveProbes[] = [];
  try {
    for (const prober of probers) {
      const theirs = wanted.filter(({ kind }) => prober.kinds.includes(kind));
      if (theirs.length > 0) probes.push(prober.open(place, theirs));
    }
  } catch (error) {
    for (const opened of probes) opened.close();
    throw error;
  }
  return { events: [...tracepoints, ...probes.flatMap(({ events }) => events)], probes };
}

const isTracepoint = (kind: HookKind): boolean => kind === "tracepoint" || kind === "raw_tracepoint";

/** A tracepoint and its raw tracepoint are one event. */
function planTracepoints(tracefs: Tracefs, wanted: readonly WantedHook[], making: RawMaking): LiveEvent[] {
  const hooks = new Map<string, { tracepoint: number; raw: number }>();
  for (const { kind, name, address } of wanted) {
    if (!isTracepoint(kind)) continue;
    const event = kind === "tracepoint" ? name : recordedEvent(name);
    const entry = hooks.get(event) ?? { tracepoint: 0, raw: 0 };
    entry[kind === "tracepoint" ? "tracepoint" : "raw"] = address;
    hooks.set(event, entry);
  }
  return [...hooks].map(([name, { tracepoint, raw }]) => {
    const format = tracefs.format(name);
    if (format === null) throw missing(tracefs, name);
    const row = raw === 0 ? undefined : rawArgumentsOfEvent(name);
    const encoder = row === undefined ? null : new RawEncoder(row, format, making.world, making.shown);
    return tracepointEvent({ format, hook: tracepoint, raw: encoder === null ? null : { hook: raw, encoder } });
  });
}

/** The event whose records hold what programs of the raw tracepoint get. */
function recordedEvent(rawTracepoint: string): string {
  const row = rawArgumentsOf(rawTracepoint);
  if (row !== undefined) return row.event;
  throw new UnsupportedError(
    "UNSUPPORTED_FEATURE",
    `raw tracepoint ${rawTracepoint}`,
    `raw tracepoint ${rawTracepoint} cannot be fed: what the kernel records of it does not tell its arguments`,
    { hint: "a program of the tracepoint of that name gets its record" },
  );
}

function missing(tracefs: Tracefs, name: string): AttachError {
  const [system = "", event = ""] = name.split("/");
  const near = tracefs.list("events").find((other) => other !== system && tracefs.exists(`events/${other}/${event}`));
  const hint =
    near === undefined
      ? `${tracefs.root}/available_events lists what it has; a module's events are there when it is loaded`
      : `it has ${near}/${event}`;
  return new AttachError("ATTACH_TARGET", `this kernel has no event ${name}`, { hint });
}

function refused(tracefs: Tracefs, kind: HookKind, name: string): UnsupportedError {
  const hint = "leave its program out: --prog names the others; or use a tracepoint or a probe of the process";
  const isKprobe = kind === "kprobe" || kind === "kretprobe";
  const reason =
    isKprobe && !tracefs.exists("kprobe_events")
      ? "this kernel has no kprobe events (CONFIG_KPROBE_EVENTS)"
      : "the kernel's tracing files show nothing of what its program would read";
  return new UnsupportedError("UNSUPPORTED_FEATURE", kind, `${kind} ${name} cannot be traced: ${reason}`, { hint });
}
