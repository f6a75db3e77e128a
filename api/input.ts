/** Where the bytes of an object come from, and what it is called in messages. Belongs to the runtime: no compiler here. */
import { readFile } from "node:fs/promises";
import { UsageError } from "../base/index.ts";

/** A path, a file URL, or the bytes themselves. */
export type ObjectInput = string | URL | Uint8Array;

/** Throws UsageError where it cannot be read. */
export async function readSource(source: ObjectInput): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  try {
    return await readFile(source);
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? cause;
    throw new UsageError("INPUT_UNREADABLE", `cannot read ${source}: ${why}`, { cause });
  }
}

/** Its path, unless it was given another name. */
export const nameOfSource = (source: ObjectInput, name: string | undefined): string =>
  name ?? (source instanceof Uint8Array ? "object" : String(source));
