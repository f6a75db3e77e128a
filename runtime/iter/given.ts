/** Elements that the caller gives as they are: for iterators of things that bpfjit has none of, files and sockets for instance. */
import { UsageError } from "../../base/index.ts";
import { iteratorByName } from "../../spec/index.ts";
import { pointerTo } from "../kernel/index.ts";
import { type HookArgument, word } from "../payload.ts";
import { type Element, type IteratorTarget, requireBuffers, type WalkWorld, walkList } from "./walk.ts";

/** Arguments behind the meta; bytes for buffers, of which programs see copies. */
export type GivenElement = readonly (HookArgument | Uint8Array)[];

type BufferKind = "readOnly" | "writable";

/** Throws UsageError for bytes where no buffer is, and for a buffer that is none. */
export function givenTarget(world: WalkWorld, name: string, elements: readonly GivenElement[]): IteratorTarget {
  const buffers = buffersOf(name);
  const smallest = { readOnly: Number.MAX_SAFE_INTEGER, writable: Number.MAX_SAFE_INTEGER };
  for (const element of elements) {
    for (const [index, value] of element.entries()) {
      const kind = buffers.get(index);
      const isEmpty = value === null || value === undefined;
      if (value instanceof Uint8Array !== (kind !== undefined) && !(kind !== undefined && isEmpty)) {
        const wanted = kind === undefined ? "no bytes" : "bytes";
        throw new UsageError("USAGE", `argument ${index} of an element of iterator ${name} is ${wanted}`);
      }
      if (kind !== undefined && value instanceof Uint8Array) smallest[kind] = Math.min(smallest[kind], value.length);
    }
  }
  return {
    requireFit: (program) => requireBuffers(program, smallest, "an element"),
    walk: () => walkGiven(world, elements),
  };
}

function walkGiven(world: WalkWorld, elements: readonly GivenElement[]): ReturnType<IteratorTarget["walk"]> {
  const owned: number[] = [];
  const release = (): void => {
    for (const address of owned.splice(0)) world.arena.free(address);
  };
  const place = (bytes: Uint8Array): bigint => {
    const address = world.arena.allocate(Math.max(1, bytes.length));
    owned.push(address);
    world.bytes.set(bytes, address);
    return pointerTo(address);
  };
  const walk = walkList(elements, (given): Element => {
    release();
    return given.map((value) => (value instanceof Uint8Array ? place(value) : word(value)));
  });
  return { ...walk, close: release };
}

/** By argument behind the meta. */
function buffersOf(name: string): ReadonlyMap<number, BufferKind> {
  const known = iteratorByName(name)?.arguments ?? [];
  return new Map(
    known.flatMap(({ index, is }) => {
      if (is !== "buffer" && is !== "readOnlyBuffer") return [];
      return [[index - 1, is === "buffer" ? "writable" : "readOnly"] as const];
    }),
  );
}
