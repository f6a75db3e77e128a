/** What the workloads in plain JavaScript read, and where they put records. */
import { EVENT_BYTES } from "./events.ts";

/** struct event in words of 4 bytes */
export const WORDS = EVENT_BYTES / 4;
export const FIELD = { pid: 2, kind: 3, timeLow: 4, timeHigh: 5, bytesLow: 6, bytesHigh: 7, comm: 8 } as const;
export const TWO_32 = 2 ** 32;
/** of struct record */
export const RECORD_WORDS = 16;

/** One event, by the index of its first word. */
export type Handler = (event: number) => void;
export interface Input {
  readonly words: Uint32Array;
  readonly out: Output;
}
/** A ring of records; positions are words and only grow. What finds no room is counted. */
export interface Output {
  readonly words: Uint32Array;
  written: number;
  read: number;
  lost: number;
}

/** 4 MiB, as the ring of the workloads. */
const OUTPUT_WORDS = 1 << 20;

export const makeOutput = (): Output => ({ words: new Uint32Array(OUTPUT_WORDS), written: 0, read: 0, lost: 0 });

/**
 * Index of the first of so many words, -1 where there is no room. The ring's size is no multiple of every record's: one that
 * would wrap starts anew.
 */
export function reserveWords(out: Output, wanted: number): number {
  const start = out.written & (OUTPUT_WORDS - 1);
  const skipped = start + wanted > OUTPUT_WORDS ? OUTPUT_WORDS - start : 0;
  if (out.written + skipped + wanted - out.read > OUTPUT_WORDS) {
    out.lost++;
    return -1;
  }
  out.written += skipped + wanted;
  return skipped > 0 ? 0 : start;
}
