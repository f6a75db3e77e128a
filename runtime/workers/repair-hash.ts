/**
 * Makes a hash whole that was being changed when a worker died. Its chains are, at any moment (wasm/hash-change.wat); all
 * else follows from them: what is in no chain is free, and of two elements with the same key the first is the newer one.
 */
import { ELEMENT, MAP, MAP_FLAG, MAP_PRIVATE, STORAGE_ID } from "../../spec/index.ts";
import type { Arena } from "../arena.ts";

const WORDS = MAP_PRIVATE.hash;

/** `map`: address of the descriptor. Others may look things up meanwhile. */
export function repairHash(arena: Arena, map: number): void {
  const { view } = arena;
  const word = (name: keyof typeof WORDS): number => view.getUint32(map + MAP.private + WORDS[name], true);
  const set = (name: keyof typeof WORDS, value: number): void =>
    view.setUint32(map + MAP.private + WORDS[name], value, true);

  const inChain = new Set<number>();
  for (let bucket = 0; bucket <= word("bucketMask"); bucket++)
    walkChain(arena, map, word("buckets") + 4 * bucket, inChain);
  view.setUint32(map + MAP.count, inChain.size, true);

  const unused: number[] = [];
  for (let index = 0; index < word("used"); index++) {
    const element = word("elements") + index * word("elementBytes");
    if (inChain.has(element)) continue;
    unused.push(element);
    // as when it is first taken, of which the worker may have been in the middle
    const values = view.getUint32(map + MAP.values, true) + index * view.getUint32(map + MAP.stride, true);
    view.setUint32(element + ELEMENT.values, values, true);
  }
  const isPreallocated =
    SINGLE.has(view.getUint32(map + MAP.storage, true)) &&
    (view.getUint32(map + MAP.flags, true) & MAP_FLAG.NO_PREALLOC) === 0;
  // A CPU without a spare takes an element that was never used, of which there is one for each that is none's here.
  if (isPreallocated)
    for (let cpu = 0; cpu < view.getUint32(map + MAP.cpus, true); cpu++)
      view.setUint32(word("spares") + 4 * cpu, takeSpare(arena, unused), true);
  let free = 0;
  for (const element of unused) {
    view.setUint32(element + ELEMENT.freeNext, free, true);
    free = element;
  }
  set("free", free);

  const links = (map + MAP.private + WORDS.links) / 4;
  if ((Atomics.load(arena.i32, links) & 1) !== 0) Atomics.add(arena.i32, links, 1);
}

/** Hashes with one value a key, which is replaced by another element. */
const SINGLE: ReadonlySet<number> = new Set([STORAGE_ID.hash, STORAGE_ID.lruHash]);

function takeSpare(arena: Arena, unused: number[]): number {
  const element = unused.pop();
  if (element === undefined) return 0;
  arena.view.setUint32(element + ELEMENT.freeNext, 0, true);
  return element;
}

/** Adds the elements of one chain; takes out of it what stands behind an element with the same key. */
function walkChain(arena: Arena, map: number, bucket: number, found: Set<number>): void {
  const { view } = arena;
  const keyBytes = view.getUint32(map + MAP.keySize, true);
  const keys = new Set<string>();
  // a link is the bucket's word or `next`, the first word of an element
  for (let link = bucket, at = view.getUint32(bucket, true); at !== 0; at = view.getUint32(link, true)) {
    const key = arena.bytes.subarray(at + ELEMENT.key, at + ELEMENT.key + keyBytes).join();
    if (keys.has(key)) {
      view.setUint32(link, view.getUint32(at + ELEMENT.next, true), true);
      continue;
    }
    keys.add(key);
    found.add(at);
    link = at;
  }
}
