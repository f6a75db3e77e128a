/**
 * The hot half of reading: finds whole samples of wanted events and queues them by time. It takes what is sound and stops at
 * everything else; whoever called looks at the record there, and explainSample() says what is wrong with a sample.
 */
import type { CaptureError } from "../../../base/index.ts";
import type { ArenaMemory } from "../memory.ts";
import type { RunQueue } from "../order.ts";
import { locateRaw } from "./attr.ts";
import { malformed } from "./header.ts";
import type { IdTable } from "./ids.ts";
import type { EventPlan } from "./plan.ts";
import { HEAD_BYTES, RECORD } from "./records.ts";

/** Times as numbers of ns since the high half of the first one: exact over 104 days of recording. */
export class Epoch {
  #high = -1;
  /** The time whose halves lie at `word`. */
  read(words: Int32Array, word: number): number {
    const high = words[word + 1]! >>> 0;
    if (this.#high < 0) this.#high = high;
    return (high - this.#high) * 2 ** 32 + (words[word]! >>> 0);
  }
}

export interface SampleReading {
  readonly memory: ArenaMemory;
  readonly plans: readonly EventPlan[];
  readonly ids: IdTable;
  readonly queue: RunQueue;
  readonly epoch: Epoch;
  readonly cpus: number;
}

const SAMPLE = RECORD.SAMPLE;

/**
 * Queues samples from `start` on, under the index of their event. Returns the address of the first record that is none, is
 * not whole before `limit`, or is not sound. What is queued is sound: the payload lies inside the record and is no shorter
 * than its format, and the CPU exists.
 */
export function takeSamples(reading: SampleReading, start: number, limit: number): number {
  const { plans, ids, queue, epoch, cpus } = reading;
  const { words } = reading.memory;
  const idWord = idPlace(plans);
  const leastBytes = idWord < 0 ? HEAD_BYTES : (idWord + 2) * 4;
  let at = start;
  while (limit - at >= HEAD_BYTES) {
    const word = at >>> 2;
    const size = words[word + 1]! >>> 16;
    if (words[word] !== SAMPLE || size < leastBytes || (size & 3) !== 0 || at + size > limit) break;
    const index = idWord < 0 ? 0 : ids.find(words[word + idWord]!, words[word + idWord + 1]!);
    if (index < 0) break;
    const plan = plans[index]!;
    if (plan.isWanted) {
      const { layout } = plan;
      if (layout.minimum * 4 > size) break;
      const raw = layout.raw >= 0 ? word + layout.raw : locateRaw(words, word, word + (size >>> 2), layout);
      if (raw < 0) break;
      const payload = words[raw]! >>> 0;
      if (payload < plan.payloadBytes || (raw + 1) * 4 + payload > at + size) break;
      if (layout.cpu >= 0 && words[word + layout.cpu]! >>> 0 >= cpus) break;
      queue.push(layout.time < 0 ? 0 : epoch.read(words, word + layout.time), at, index);
    }
    at += size;
  }
  return at;
}

/** Why takeSamples() stopped at the whole sample at `at`. `offsetBytes` is its place in the input. */
export function explainSample(reading: SampleReading, at: number, offsetBytes: number): CaptureError {
  const { plans, ids, cpus } = reading;
  const { words } = reading.memory;
  const word = at >>> 2;
  const size = words[word + 1]! >>> 16;
  const idWord = idPlace(plans);
  const bad = (message: string): CaptureError => malformed(message, offsetBytes);
  if (idWord >= 0 && (idWord + 2) * 4 > size) return bad(`a sample has ${size} bytes`);
  const plan = plans[idWord < 0 ? 0 : ids.find(words[word + idWord]!, words[word + idWord + 1]!)];
  if (plan === undefined) return bad("a sample has an id that belongs to no event");
  const { layout, payloadBytes } = plan;
  if (layout.minimum * 4 > size) return bad(`a sample has ${size} bytes, less than its fields need`);
  const cpu = layout.cpu < 0 ? 0 : words[word + layout.cpu]! >>> 0;
  if (cpu >= cpus) return bad(`a sample of CPU ${cpu}, but there were ${cpus}`);
  const raw = locateRaw(words, word, word + (size >>> 2), layout);
  const payload = raw < 0 ? 0 : words[raw]! >>> 0;
  if (raw < 0 || (raw + 1) * 4 + payload > at + size) return bad("a sample ends inside its fields");
  return bad(`a payload has ${payload} bytes, its format ${payloadBytes}`);
}

/** Word of the id in a sample; -1: there is one event, or none has an id. */
const idPlace = (plans: readonly EventPlan[]): number => (plans.length === 1 ? -1 : plans[0]!.layout.id);
