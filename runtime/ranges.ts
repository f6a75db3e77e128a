/**
 * Which addresses are handed out: first fit over the gaps in order of address, neighbours joined when given back.
 * Knows nothing of the memory behind them.
 */
import { BugError } from "../base/index.ts";

/** Addresses from `start` up to, not including, `end`. */
interface Range {
  readonly start: number;
  readonly end: number;
}

export class RangeList {
  /** in order of address, never touching each other */
  readonly #gaps: Range[] = [];
  /** handed out: address → the range behind it, which begins before it where the alignment asked for it */
  readonly #taken = new Map<number, Range>();
  /** everything from here on is free */
  #top: number;
  #usedBytes = 0;

  constructor(start: number) {
    this.#top = start;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Null where `length` bytes do not fit below `limit`. `alignment` is a power of two. */
  allocate(length: number, alignment: number, limit: number): number | null {
    const index = this.#gaps.findIndex((gap) => alignUp(gap.start, alignment) + length <= gap.end);
    if (index >= 0) {
      const gap = this.#gaps[index]!;
      const address = alignUp(gap.start, alignment);
      const rest: Range = { start: address + length, end: gap.end };
      this.#gaps.splice(index, 1, ...(rest.start < rest.end ? [rest] : []));
      return this.#take(address, { start: gap.start, end: rest.start });
    }
    const address = alignUp(this.#top, alignment);
    if (address + length > limit) return null;
    const range = { start: this.#top, end: address + length };
    this.#top = range.end;
    return this.#take(address, range);
  }

  free(address: number): void {
    const range = this.#taken.get(address);
    if (range === undefined) throw new BugError(`arena address ${address} is given back but was not handed out`);
    this.#taken.delete(address);
    this.#usedBytes -= range.end - range.start;
    const next = this.#indexFrom(range.start);
    const before = this.#gaps[next - 1];
    const after = this.#gaps[next];
    const joinsBefore = before !== undefined && before.end === range.start;
    const joinsAfter = after !== undefined && after.start === range.end;
    const joined: Range = {
      start: joinsBefore ? before.start : range.start,
      end: joinsAfter ? after.end : range.end,
    };
    this.#gaps.splice(joinsBefore ? next - 1 : next, Number(joinsBefore) + Number(joinsAfter), joined);
    if (joined.end === this.#top) {
      this.#top = joined.start;
      this.#gaps.pop();
    }
  }

  #take(address: number, range: Range): number {
    this.#taken.set(address, range);
    this.#usedBytes += range.end - range.start;
    return address;
  }

  /** Index of the first gap behind `address`. */
  #indexFrom(address: number): number {
    let low = 0;
    let high = this.#gaps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#gaps[middle]!.start < address) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const alignUp = (address: number, alignment: number): number => Math.ceil(address / alignment) * alignment;
