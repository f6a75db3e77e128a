/**
 * Records that hold memory of the traced process: what for, the address, and the text or bytes that were there. All places that
 * fetch texts are one event, and all that fetch so many words.
 *
 * One text a record: the kernel drops a record, and complains in its own log, where the texts of one are longer than a page.
 */
import { readFileSync } from "node:fs";
import { CaptureError } from "../../../../base/index.ts";
import type { TracepointFormat } from "../../format.ts";
import type { ArenaMemory } from "../../memory.ts";
import type { LiveEvent, LiveRecord } from "../events.ts";
import type { Captured } from "./captured.ts";
import type { FetchArgument } from "./definition.ts";
import { dereference } from "./operands.ts";

/** Offset of a probe's own arguments in its records: behind common_* and the probed address, of returns two addresses. */
export const argumentsStart = ({ fields }: TracepointFormat): number =>
  Math.min(...fields.filter(({ name }) => !/^(common|__probe)_/.test(name)).map(({ offsetBytes }) => offsetBytes));

/** What a record was fetched for: called with null where nothing could be read. `number`: of the system call, where a place has many. */
export type FetchTarget = (tid: number, captured: Captured | null, number: number) => void;

/** Kernel: MAX_ARRAY_LEN. */
export const WORDS_MAX = 64;
const WORD_BYTES = 8;
/** Of the arguments, from the first on: they follow one another without gaps. */
const FIELD = { target: 0, address: 4, location: 12, length: 12, words: 20 } as const;

/** `pointer` is a fetch that gives the address: `%di`, `+8(%si)`. `target` is an index of the event's targets. */
export const textArguments = (target: number, pointer: string): FetchArgument[] => [
  `target=\\${target}:u32`,
  `address=${pointer}:x64`,
  `text=${dereference(pointer, 0)}:ustring`,
];

export interface WordsAt {
  /** gives an address, as for texts */
  readonly pointer: string;
  /** from there to what is read: the record does not count it in */
  readonly offset?: bigint;
  /** tells how many bytes there are; of them, `words` × 8 are read */
  readonly length: string;
  readonly words: number;
}

export const wordArguments = (target: number, { pointer, offset = 0n, length, words }: WordsAt): FetchArgument[] => [
  `target=\\${target}:u32`,
  `address=${pointer}:x64`,
  `length=${length}:u64`,
  `words=${dereference(pointer, offset)}:x64[${words}]`,
];

/** Behind those of words: which system call it is. */
export const numberArgument = (register: string): FetchArgument => `${NUMBER}=%${register}:u64`;
const NUMBER = "number";

/** What the kernel keeps of records that tell it: those of these calls. */
export const numberFilter = (numbers: readonly number[]): string =>
  numbers.map((number) => `${NUMBER}==${number}`).join("||");

export interface FetchShape {
  /** of the array that records hold; null: they hold a text */
  readonly words: number | null;
  /** absent: they do not tell a number */
  readonly filter?: string;
}

export class FetchEvent implements LiveEvent {
  readonly name: string;
  readonly format: TracepointFormat;
  readonly fires = 0;
  readonly filter: string | null;
  readonly #memory: ArenaMemory;
  readonly #targets: readonly FetchTarget[];
  readonly #words: number | null;
  /** of the arguments in a record */
  readonly #start: number;

  constructor(
    name: string,
    format: TracepointFormat,
    memory: ArenaMemory,
    targets: readonly FetchTarget[],
    { words, filter }: FetchShape,
  ) {
    this.name = name;
    this.format = format;
    this.#memory = memory;
    this.#targets = targets;
    this.#words = words;
    this.filter = filter ?? null;
    this.#start = argumentsStart(format);
  }

  emit(record: LiveRecord): boolean {
    this.#memory.refresh();
    const { view } = this.#memory.world;
    const at = record.payload + this.#start;
    const target = this.#targets[view.getUint32(at + FIELD.target, true)];
    if (target === undefined) return true;
    const address = view.getBigUint64(at + FIELD.address, true);
    const bytes = this.#words === null ? this.#text(view, at, record) : this.#block(view, at, this.#words);
    const hasNumber = this.filter !== null && this.#words !== null;
    const number = hasNumber ? view.getUint32(at + FIELD.words + this.#words! * WORD_BYTES, true) : 0;
    target(record.tid, bytes.length === 0 || address === 0n ? null : { address, bytes }, number);
    return true;
  }

  /** With its zero; empty where it could not be read. */
  #text(view: DataView, at: number, { payload, bytes }: LiveRecord): Uint8Array {
    const location = view.getUint32(at + FIELD.location, true);
    const start = location & 0xffff;
    const length = location >>> 16;
    if (start + length > bytes)
      throw new CaptureError(
        "CAPTURE_MALFORMED",
        `a text of ${length} bytes at ${start} lies outside its record of ${bytes}`,
      );
    return this.#memory.octets.slice(payload + start, payload + start + length);
  }

  #block(view: DataView, at: number, words: number): Uint8Array {
    const length = view.getBigUint64(at + FIELD.length, true);
    const known = length > BigInt(words * WORD_BYTES) ? words * WORD_BYTES : Number(length);
    const start = at + FIELD.words;
    return this.#memory.octets.slice(start, start + known);
  }
}

/**
 * The kernel warns in its log where a text is longer than its buffer of a page. Where a warning stops the machine, what is
 * traced must not be able to cause one.
 */
export function mayFetchTexts(): boolean {
  try {
    return readFileSync("/proc/sys/kernel/panic_on_warn", "latin1").trim() === "0";
  } catch {
    return true;
  }
}
