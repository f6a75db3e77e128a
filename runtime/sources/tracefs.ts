/** Formats of this machine's tracepoints, out of tracefs: for a recording that was cut off before its own. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseFormat, type TracepointFormat } from "./format.ts";

const TRACEFS = "/sys/kernel/tracing";

/**
 * By id, of those that `ids` holds and this kernel has. Ids are given out at boot, so they name the same events on this
 * kernel only. Empty where tracefs is not mounted or not readable.
 */
export function tracefsFormats(ids: ReadonlySet<number>, root = TRACEFS): ReadonlyMap<number, TracepointFormat> {
  const formats = new Map<number, TracepointFormat>();
  const events = join(root, "events");
  for (const system of entries(events)) {
    for (const name of entries(join(events, system))) {
      const id = Number.parseInt(read(join(events, system, name, "id")) ?? "", 10);
      if (!ids.has(id)) continue;
      const text = read(join(events, system, name, "format"));
      if (text !== null) formats.set(id, parseFormat(text, system));
      if (formats.size === ids.size) return formats;
    }
  }
  return formats;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
