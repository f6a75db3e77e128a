/**
 * One CPU's tracing ring: its pages are read into a ring of page slots in the arena, where their records stay until the
 * programs have run. Reads never wait: Node can wait for such a file only in a thread of its pool, of which there are four,
 * and not at all in its event loop (libuv polls sockets and pipes). So whoever calls refill() does so by a timer.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";
import type { ArenaMemory } from "../memory.ts";
import { type PageLayout, type RecordSink, type TimeBase, takePage } from "./page.ts";
import { tracingError } from "./tracefs.ts";

const ALIGNMENT = 64;

/** Arena memory of all CPUs together, and of one. When one's is full, programs run before more is read of it. */
const ARENA_BYTES = 16 << 20;
const RING_BYTES = { least: 1 << 16, most: 1 << 20 } as const;

/** The rings of all CPUs, and which of them a record lies in: their slots lie one behind the other. */
export class CpuRings {
  readonly list: readonly CpuRing[];
  readonly #base: number;
  readonly #stride: number;

  /** `pathOf`: the file that a CPU's pages are read from */
  constructor(memory: ArenaMemory, layout: PageLayout, cpus: readonly number[], pathOf: (cpu: number) => string) {
    const share = Math.floor(ARENA_BYTES / Math.max(1, cpus.length));
    const wanted = Math.max(RING_BYTES.least, Math.min(RING_BYTES.most, share));
    const slots = Math.max(2, Math.floor(wanted / layout.bytes));
    this.#stride = slots * layout.bytes;
    this.#base = memory.allocate(this.#stride * cpus.length, ALIGNMENT);
    const list: CpuRing[] = [];
    try {
      for (const cpu of cpus) {
        const place = { base: this.#base + list.length * this.#stride, slots };
        list.push(new CpuRing(memory, layout, cpu, pathOf(cpu), place));
      }
    } catch (error) {
      for (const ring of list) ring.close();
      throw error;
    }
    this.list = list;
  }

  /** The ring that the record lies in. */
  of(record: number): CpuRing {
    return this.list[Math.floor((record - this.#base) / this.#stride)]!;
  }

  /** Pages without any of these records, which stand in the order in which they were read, take new ones. */
  recycle(records: Uint32Array, count: number): void {
    const first = new Map<CpuRing, number>();
    for (let index = 0; index < count && first.size < this.list.length; index++) {
      const ring = this.of(records[index]!);
      if (!first.has(ring)) first.set(ring, records[index]!);
    }
    for (const ring of this.list) ring.recycle(first.get(ring) ?? null);
  }

  close(): void {
    for (const ring of this.list) ring.close();
  }
}

interface SlotPlace {
  /** address of the first slot */
  readonly base: number;
  readonly slots: number;
}

class CpuRing {
  readonly cpu: number;
  /** bytes of records and heads that were ever read */
  bytesRead = 0;
  /** of the last record that was read, ns since the base; later reads give later ones */
  lastTime = Number.NEGATIVE_INFINITY;
  /** the last refill() read everything there was */
  isDrained = true;
  /** records that pages say were overwritten before they were read, as far as they say how many */
  missed = 0n;
  /** some were */
  hasMissed = false;
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

  constructor(memory: ArenaMemory, layout: PageLayout, cpu: number, path: string, { base, slots }: SlotPlace) {
    this.cpu = cpu;
    this.#memory = memory;
    this.#layout = layout;
    this.#path = path;
    this.#base = base;
    this.#slots = slots;
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
      if (missed !== 0n) this.hasMissed = true;
    }
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
