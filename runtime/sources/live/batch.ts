/** EVENT records of a batch, and the memory that their contexts are made in. */
import { EVENT, EVENT_WORDS } from "../../../spec/index.ts";
import type { ArenaMemory } from "../memory.ts";
import type { LiveBatch, LiveRecord } from "./events.ts";

export const BATCH_EVENTS = 4096;
/** Memory for contexts comes in pieces, which are kept. */
const CHUNK_BYTES = 256 * 1024;
const ALIGNMENT = 64;

export class Batch implements LiveBatch {
  readonly address: number;
  count = 0;
  readonly #memory: ArenaMemory;
  readonly #cpuBlocks: readonly number[];
  readonly #chunks: number[] = [];
  /** index of the chunk in use, and the bytes of it that are used */
  #chunk = -1;
  #used = CHUNK_BYTES;

  constructor(memory: ArenaMemory, cpus: number) {
    this.#memory = memory;
    this.address = memory.allocate(BATCH_EVENTS * EVENT.bytes, EVENT.bytes);
    this.#cpuBlocks = Array.from({ length: cpus }, (_, cpu) => memory.world.cpuBlock(cpu));
  }

  hasRoomFor(events: number): boolean {
    return this.count + events <= BATCH_EVENTS;
  }

  fire(record: LiveRecord, hook: number, ctx: number, ctxBytes: number): number {
    const address = this.address + this.count++ * EVENT.bytes;
    const { words } = this.#memory;
    const out = address >>> 2;
    words[out + EVENT_WORDS.ctx] = ctx;
    words[out + EVENT_WORDS.cpu] = this.#cpuBlocks[record.cpu]!;
    words[out + EVENT_WORDS.time] = record.timeLow;
    words[out + EVENT_WORDS.time + 1] = record.timeHigh;
    words[out + EVENT_WORDS.task] = record.task;
    words[out + EVENT_WORDS.hook] = hook;
    words[out + EVENT_WORDS.size] = ctxBytes;
    words[out + EVENT_WORDS.flags] = 0;
    return address;
  }

  scratch(bytes: number): number {
    const needed = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    if (this.#used + needed > CHUNK_BYTES) {
      this.#chunk++;
      this.#used = 0;
      if (this.#chunk === this.#chunks.length) this.#chunks.push(this.#memory.allocate(CHUNK_BYTES, ALIGNMENT));
    }
    const address = this.#chunks[this.#chunk]! + this.#used;
    this.#used += needed;
    return address;
  }

  /** Its events have run. */
  release(): void {
    this.count = 0;
    if (this.#chunk < 0) return;
    this.#chunk = 0;
    this.#used = 0;
  }
}
