/**
 * Probe events in the kernel: lines of `uprobe_events`, in a group named after its owner. An event stands for many places:
 * lines of the same name with the same kinds of arguments are one event, and each tells by a constant which of them it is
 * (`\7`). So a thousand places cost one event to enable and, above all, one wait for the kernel to disable.
 * Source: Documentation/trace/uprobetracer.rst; the limits: kernel/trace/trace_probe.h.
 */
import { closeSync, openSync } from "node:fs";
import { AttachError } from "../../../../base/index.ts";
import type { TracepointFormat } from "../../format.ts";
import { isAbandoned } from "../owner.ts";
import type { Tracefs } from "../tracefs.ts";

const FILE = "uprobe_events";
/** What such a line may not hold: it ends a word, or begins a comment. */
const UNWRITABLE = /[\s#]/;

/** Whether this kernel has probes in user code. */
export const hasProbeEvents = (tracefs: Tracefs): boolean => tracefs.exists(FILE);

export interface ProbePlace {
  readonly path: string;
  /** in the file */
  readonly offset: number;
  /** of the semaphore in the file; null: none */
  readonly semaphore: number | null;
  /** at the function's return */
  readonly isReturn: boolean;
}

/** One argument of an event: `name=fetch:type`. */
export type FetchArgument = `${string}=${string}:${string}`;

export interface ProbeLine {
  readonly place: ProbePlace;
  readonly args: readonly FetchArgument[];
}

/** Probe events in the group of that name. They are made before an instance enables them, and removed when none has them enabled. */
export class ProbeGroup {
  readonly #tracefs: Tracefs;
  readonly #name: string;
  readonly #events = new Set<string>();

  constructor(tracefs: Tracefs, name: string) {
    this.#tracefs = tracefs;
    this.#name = name;
  }

  /** Adds places to an event of the group. Throws AttachError with what the kernel says of the line that it refused. */
  define(event: string, lines: readonly ProbeLine[]): void {
    const opened: number[] = [];
    const paths = new Map<string, string>();
    const writable = (path: string): string => {
      if (!UNWRITABLE.test(path)) return path;
      const known = paths.get(path);
      if (known !== undefined) return known;
      const fd = openSync(path, "r");
      opened.push(fd);
      paths.set(path, `/proc/self/fd/${fd}`);
      return paths.get(path)!;
    };
    try {
      const text = lines.map((line) => definition(this.#name, event, line, writable(line.place.path))).join("\n");
      this.#events.add(event);
      this.#append(`${text}\n`);
    } finally {
      for (const fd of opened) closeSync(fd);
    }
  }

  format(event: string): TracepointFormat {
    const format = this.#tracefs.format(this.eventName(event));
    if (format === null) throw new AttachError("TRACING_FAILED", `the kernel shows no event ${this.eventName(event)}`);
    return format;
  }

  eventName(event: string): string {
    return `${this.#name}/${event}`;
  }

  /** Its events go, those of others in the group of that name stay. */
  remove(): void {
    for (const event of this.#events) {
      this.#events.delete(event);
      // what the kernel refused altogether is not there
      if (this.#tracefs.exists(`events/${this.eventName(event)}`))
        this.#tracefs.append(FILE, `-:${this.eventName(event)}\n`);
    }
  }

  #append(text: string): void {
    try {
      this.#tracefs.append(FILE, text);
    } catch (cause) {
      throw new AttachError("TRACING_FAILED", `the kernel refused a probe: ${lastComplaint(this.#tracefs) ?? cause}`, {
        cause,
      });
    }
  }
}

function definition(group: string, event: string, { place, args }: ProbeLine, path: string): string {
  const semaphore = place.semaphore === null ? "" : `(0x${place.semaphore.toString(16)})`;
  const head = `${place.isReturn ? "r" : "p"}:${group}/${event} ${path}:0x${place.offset.toString(16)}${semaphore}`;
  return [head, ...args].join(" ");
}

/** What the kernel last had to say against a definition, with the definition. */
function lastComplaint(tracefs: Tracefs): string | null {
  if (!tracefs.exists("error_log")) return null;
  const lines = tracefs.read("error_log").trimEnd().split("\n");
  const at = lines.findLastIndex((line) => line.includes("trace_uprobe: error: "));
  if (at < 0) return null;
  return `${lines[at]!.replace(/^.*error: /, "")} (${(lines[at + 1] ?? "").replace(/^\s*Command: /, "")})`;
}

/**
 * Removes the probe events of owners that are gone. Their instances must be gone before: an event that is enabled stays. With
 * an event the kernel also takes back what it counted into the semaphores of processes that still run.
 */
export function removeAbandonedProbes(tracefs: Tracefs): void {
  if (!tracefs.exists(FILE)) return;
  const groups = tracefs
    .read(FILE)
    .split("\n")
    .flatMap((line) => /^[pr]:([^/\s]+)\//.exec(line)?.[1] ?? []);
  for (const name of new Set(groups)) {
    if (!isAbandoned(name)) continue;
    try {
      tracefs.append(FILE, `-:${name}/\n`);
    } catch {
      // somebody else removed it meanwhile, or has it enabled: the next start sees to it
    }
  }
}
