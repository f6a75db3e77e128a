/**
 * Reads an input forwards into chunks of arena memory, so that records lie where programs can reach them. A record never
 * crosses from one chunk to the next: what is incomplete at a chunk's end moves on. A chunk is used again once nothing in
 * it is needed any more.
 */
import type { CaptureInput } from "../input.ts";
import type { ArenaMemory } from "../memory.ts";
import { RECORD_BYTES_MAX } from "./records.ts";

/** Two chunks stay in the cache while they are decoded; one holds several of the largest records. */
const CHUNK_BYTES = 1 << 18;
/** A program may read its ctx up to here (PERF_MAX_TRACE_SIZE), which must stay inside the chunk. */
const SLACK_BYTES = 8192;

interface Chunk {
  readonly address: number;
  /** bytes in use, from its start */
  filled: number;
}

export class ArenaChunks {
  readonly #memory: ArenaMemory;
  readonly #input: CaptureInput;
  readonly #inputEnd: number;
  /** of the next byte to be read, in the input */
  #inputAt: number;
  /** oldest first; the last is being filled */
  #chunks: Chunk[] = [];
  #free: number[] = [];
  /** arena addresses: the next byte that is not yet consumed, and the end of what was read */
  position = 0;
  limit = 0;

  /** Reads [start, end) of the input. */
  constructor(memory: ArenaMemory, input: CaptureInput, start: number, end: number) {
    this.#memory = memory;
    this.#input = input;
    this.#inputAt = start;
    this.#inputEnd = end;
  }

  /** Bytes of the input that were read. */
  get done(): number {
    return this.#inputAt;
  }
  /** Where the byte at `address`, in what is not yet consumed, lies in the input. */
  inputOffset(address: number): number {
    return this.#inputAt - (this.limit - address);
  }

  /** Reads more behind what is not yet consumed, which may move. False at the input's end: nothing more was read. */
  async fill(): Promise<boolean> {
    const wanted = Math.min(CHUNK_BYTES, this.#inputEnd - this.#inputAt);
    if (wanted <= 0) return false;
    const last = this.#chunks.at(-1);
    const chunk = last !== undefined && CHUNK_BYTES - last.filled > RECORD_BYTES_MAX ? last : this.#next();
    const room = Math.min(wanted, CHUNK_BYTES - chunk.filled);
    const start = chunk.address + chunk.filled;
    const read = await this.#input.read(this.#memory.octets.subarray(start, start + room), this.#inputAt);
    this.#inputAt += read;
    chunk.filled += read;
    this.limit = chunk.address + chunk.filled;
    return read > 0;
  }

  /** Gives up what lies before all of `needed` (addresses of records) and before what is not yet consumed. */
  recycle(needed: readonly number[]): void {
    let oldest = this.#chunks.length - 1;
    for (const address of needed) oldest = Math.min(oldest, this.#chunkOf(address));
    for (const chunk of this.#chunks.splice(0, Math.max(0, oldest))) this.#free.push(chunk.address);
  }

  /** A new last chunk that begins with the bytes that are not yet consumed: less than a record. */
  #next(): Chunk {
    const address = this.#free.pop() ?? this.#memory.allocate(CHUNK_BYTES + SLACK_BYTES, 8);
    const rest = this.limit - this.position;
    this.#memory.octets.copyWithin(address, this.position, this.limit);
    const chunk = { address, filled: rest };
    this.#chunks.push(chunk);
    this.position = address;
    this.limit = address + rest;
    return chunk;
  }

  #chunkOf(address: number): number {
    return this.#chunks.findIndex((chunk) => address >= chunk.address && address < chunk.address + CHUNK_BYTES);
  }
}
