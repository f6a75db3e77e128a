/** What an iteration passes, one element after the other. A file beside this one for each kind of element. */
import { AttachError } from "../../base/index.ts";
import type { BufferBytes, ProgramManifest } from "../../spec/index.ts";
import type { World } from "../world.ts";

/** Arguments of the program behind the first, which is the iteration's own. */
export type Element = readonly bigint[];

/** A place in what is walked; it stays between two reads, and what is there may have changed meanwhile. */
export interface Walk {
  /** The element at the place, null behind the last one. Kernel: seq_operations.start. */
  start(): Element | null;
  /** Moves behind the element that start() or next() answered last. */
  next(): Element | null;
  /** What the program is given behind the last element; absent: nothing but zeros. */
  end?(): Element;
  close(): void;
}

/** What a link walks, checked when the link is made. */
export interface IteratorTarget {
  /** Throws AttachError where the program uses more of an element than it has. */
  requireFit(program: ProgramManifest): void;
  walk(): Walk;
}

/**
 * The verifier lets programs use any bytes of the buffers among their arguments: EACCES for those that are not there.
 * Kernel: bpf_iter_attach_map().
 */
export function requireBuffers({ name, bufferBytes }: ProgramManifest, has: BufferBytes, whose: string): void {
  if (bufferBytes !== undefined && bufferBytes.readOnly <= has.readOnly && bufferBytes.writable <= has.writable) return;
  const used = `${bufferBytes?.readOnly ?? "unknown"} bytes of keys and ${bufferBytes?.writable ?? "unknown"} of values`;
  const message = `program ${name} uses ${used}, ${whose} has ${has.readOnly} and ${has.writable}`;
  throw new AttachError("ATTACH_FAILED", message, { errno: "EACCES" });
}

/** Over a list that stays as it is. */
export function walkList<Item>(items: readonly Item[], elementOf: (item: Item) => Element): Walk {
  let at = 0;
  const start = (): Element | null => (at < items.length ? elementOf(items[at]!) : null);
  return {
    start,
    next: () => {
      at++;
      return start();
    },
    close: () => {},
  };
}

/** The part of a world that walks need. */
export type WalkWorld = Pick<World, "arena" | "bytes" | "view" | "library" | "maps" | "kernel" | "makeTask">;
