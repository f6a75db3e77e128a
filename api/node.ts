/**
 * bpfjit/node: what happens in this process, as tracepoints for programs: garbage collections, HTTP requests, name lookups,
 * user timings, and any diagnostics channel. Programs see what Node tells; they are no sandbox for the process.
 */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";
import { UsageError } from "../base/index.ts";
import type { ArgumentValues, Runtime } from "../runtime/index.ts";
import type { TracepointArguments, TracepointDefinition } from "../spec/index.ts";
import { defineTracepoint } from "./tracepoint.ts";

/** Times are ns: `start_ns` since the process began, as performance.now(). */
const TIMES = { start_ns: "u64", duration_ns: "u64" } as const;

/** `kind` and `flags` are perf_hooks.constants.NODE_PERFORMANCE_GC_*. */
export const NODE_GC = defineTracepoint("node_gc", { args: { kind: "u32", flags: "u32", ...TIMES } });
/** A request that was answered (`client` false) or made (true). */
export const NODE_HTTP = defineTracepoint("node_http", {
  args: { method: "str", url: "str", status: "u32", client: "bool", ...TIMES },
});
/** `operation` is lookup, lookupService, queryA, … */
export const NODE_DNS = defineTracepoint("node_dns", { args: { operation: "str", hostname: "str", ...TIMES } });
/** performance.mark() */
export const NODE_MARK = defineTracepoint("node_mark", { args: { name: "str", start_ns: "u64" } });
/** performance.measure() */
export const NODE_MEASURE = defineTracepoint("node_measure", { args: { name: "str", ...TIMES } });

/** For load(): `load("gc.bpf.o", { tracepoints: NODE_TRACEPOINTS })`. */
export const NODE_TRACEPOINTS: readonly TracepointDefinition[] = [
  NODE_GC,
  NODE_HTTP,
  NODE_DNS,
  NODE_MARK,
  NODE_MEASURE,
];

/** What of an entry is read; Node's own types say less. */
type Entry = PerformanceEntry & { readonly detail?: unknown };
type Fire = (entry: Entry) => void;

/**
 * Observes what NODE_TRACEPOINTS tell of, from now on until it is disposed of. Only those that programs are attached to when
 * it is called are observed: the rest would cost something for nobody.
 */
export function observeNode(runtime: Runtime): Disposable {
  const fires = new Map<string, Fire>();
  for (const [entryType, fire] of Object.entries(firesOf(runtime))) if (fire !== null) fires.set(entryType, fire);
  if (fires.size === 0) return { [Symbol.dispose]: () => {} };
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) fires.get(entry.entryType)?.(entry);
  });
  observer.observe({ entryTypes: [...fires.keys()] as ("gc" | "http" | "dns" | "mark" | "measure")[] });
  return {
    [Symbol.dispose]: () => {
      // what was recorded before is not lost
      for (const entry of observer.takeRecords()) fires.get(entry.entryType)?.(entry);
      observer.disconnect();
    },
  };
}

function firesOf(runtime: Runtime): Record<string, Fire | null> {
  const fire = <Args extends TracepointArguments>(
    definition: TracepointDefinition<Args>,
    values: (entry: Entry) => ArgumentValues<Args>,
  ): Fire | null => {
    const tracepoint = runtime.tracepoint(definition);
    return tracepoint.enabled ? (entry) => tracepoint.fire(values(entry)) : null;
  };
  return {
    gc: fire(NODE_GC, (entry) => ({ kind: number(entry, "kind"), flags: number(entry, "flags"), ...timesOf(entry) })),
    http: fire(NODE_HTTP, (entry) => ({
      method: text(member(entry, "req"), "method"),
      url: text(member(entry, "req"), "url"),
      status: Number(read(member(entry, "res"), "statusCode") ?? 0),
      client: entry.name === "HttpClient",
      ...timesOf(entry),
    })),
    dns: fire(NODE_DNS, (entry) => ({
      operation: entry.name,
      hostname: text(entry.detail, "hostname") || text(entry.detail, "host"),
      ...timesOf(entry),
    })),
    mark: fire(NODE_MARK, (entry) => ({ name: entry.name, start_ns: nanoseconds(entry.startTime) })),
    measure: fire(NODE_MEASURE, (entry) => ({ name: entry.name, ...timesOf(entry) })),
  };
}

/**
 * Fires `definition` for every message on a diagnostics channel, with what `values` makes of it; `null` skips the message.
 * Until it is disposed of.
 */
export function observeChannel<Args extends TracepointArguments>(
  runtime: Runtime,
  channel: string | symbol,
  definition: TracepointDefinition<Args>,
  values: (message: unknown) => ArgumentValues<Args> | null,
): Disposable {
  if (channel === "") throw new UsageError("USAGE", "a diagnostics channel has a name");
  const tracepoint = runtime.tracepoint(definition);
  const onMessage = (message: unknown): void => {
    if (!tracepoint.enabled) return;
    const given = values(message);
    if (given !== null) tracepoint.fire(given);
  };
  subscribe(channel, onMessage);
  return { [Symbol.dispose]: () => void unsubscribe(channel, onMessage) };
}

const nanoseconds = (milliseconds: number): bigint => BigInt(Math.max(0, Math.round(milliseconds * 1e6)));
const timesOf = ({ startTime, duration }: Entry): { start_ns: bigint; duration_ns: bigint } => ({
  start_ns: nanoseconds(startTime),
  duration_ns: nanoseconds(duration),
});

function read(from: unknown, name: string): unknown {
  return typeof from === "object" && from !== null ? (from as Readonly<Record<string, unknown>>)[name] : undefined;
}
const member = ({ detail }: Entry, name: string): unknown => read(detail, name);
const number = (entry: Entry, name: string): number => Number(member(entry, name) ?? 0);
const text = (from: unknown, name: string): string => String(read(from, name) ?? "");
