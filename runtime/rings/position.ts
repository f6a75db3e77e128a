/**
 * Positions of rings: u64 words that only grow, written by one side and read by the other, which may be another thread. As
 * numbers they are exact up to 2^53 bytes.
 */
import type { Arena } from "../arena.ts";

const HIGH = 0x1_0000_0000;

/** Everything that was written before the position that this returns can be read. */
export function readPosition(arena: Arena, address: number): number {
  const words = arena.i32;
  const at = address / 4;
  // two halves, without the bigint that one load of both would make: the upper one must not change in between
  while (true) {
    const high = Atomics.load(words, at + 1);
    const low = Atomics.load(words, at);
    if (Atomics.load(words, at + 1) === high) return (low >>> 0) + (high >>> 0) * HIGH;
  }
}

/** What was read before this may be overwritten behind it. */
export function writePosition(arena: Arena, address: number, position: number): void {
  Atomics.store(arena.i64, address / 8, BigInt(position));
}
