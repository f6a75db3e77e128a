/**
 * One CPU's tracing ring: its pages are read into a ring of page slots in the arena, where their records stay until the
 * programs have run. Reads never wait: Node can wait for such a file only in a thread of its pool, of which there are four,
 * and not at all in its event loop (libuv polls sockets and pipes). So whoever calls refill() does so by a timer.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import type { ArenaMemory } from "../memory.ts";
import { type PageLayout, type RecordSink, type TimeBase, takePage } from "./page.ts";
import { tracingError } from "./tracefs.ts";

/** Of arena memory for each CPU. When it is full, programs run before more is read. */
const SLOT_BYTES_MAX = 1 << 20;

export class CpuRing {
  readonly cpu: number;
  /** bytes of records and heads that were ever read */
  bytesRead = 0;
  /** of the last record that was read, ns since the base; later reads give later ones */
  lastTime = Number.NEGATIVE_INFINITY;
  /** the last refill() read everything there was */
  isDrained = true;
  /** records that pages say were overwritten before they were read */
  missed = 0n;
  readonly #fd: number;
  readonly #path: string;
  readonly #memory: ArenaMemory;
  readonly #layout: PageLayout;
  readonly #slots: number;
  readonly #base: number;
  /** slots in use: `#used` from `#first` on, around */
  #first = 0;
  #used = 0;
  #closed = false;

  constructor(memory: ArenaMemory, layout: PageLayout, cpu: number, path: string) {
    this.cpu = cpu;
    this.#memory = memory;
    this.#layout = layout;
    this.#path = path;
    this.#slots = Math.max(2, Math.floor(SLOT_BYTES_MAX / layout.bytes));
    this.#base = memory.allocate(this.#slots * layout.bytes, 64);
    try {
      this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (cause) {
      throw tracingError(`cannot open ${path}`, cause);
    }
  }

  /** Reads until the ring or the room is used up. */
  refill(time: TimeBase, sink: RecordSink): void {
    const { bytes } = this.#layout;
    this.isDrained = false;
    while (this.#used < this.#slots) {
      const slot = (this.#first + this.#used) % this.#slots;
      const page = this.#base + slot * bytes;
      if (!this.#read(page)) {
        this.isDrained = true;
        return;
      }
      const { lastTime, missed } = takePage(this.#memory.words, page, this.#layout, time, sink);
      this.#used++;
      this.bytesRead += bytes;
      this.lastTime = lastTime;
      if (missed !== null) this.missed += missed;
    }
  }

  /** Whether the record lies in a page of this ring. */
  holds(record: number): boolean {
    return record >= this.#base && record < this.#base + this.#slots * this.#layout.bytes;
  }

  /** Pages before the one with `record` are done; null: all are. */
  recycle(record: number | null): void {
    if (record === null) {
      this.#first = (this.#first + this.#used) % this.#slots;
      this.#used = 0;
      return;
    }
    const slot = Math.floor((record - this.#base) / this.#layout.bytes);
    const done = (slot - this.#first + this.#slots) % this.#slots;
    this.#first = slot;
    this.#used -= done;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#fd);
  }

  /** False: there is nothing to read now. */
  #read(page: number): boolean {
    try {
      return readSync(this.#fd, this.#memory.octets, page, this.#layout.bytes, null) > 0;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "EAGAIN") return false;
      throw tracingError(`cannot read ${this.#path}`, cause);
    }
  }
}
