/**
 * Perf event arrays: a buffer per virtual CPU, laid out as perf_event_open() and mmap() give it. Reading them is
 * runtime/rings/'s. Kernel: perf_event_array_map_ops in kernel/bpf/arraymap.c, kernel/events/ring_buffer.c.
 */
import { UsageError } from "../../base/index.ts";
import { MAP, MAP_PRIVATE, PAGE_BYTES, PERF_BUFFER, PERF_SAMPLE } from "../../spec/index.ts";
import { KeylessMap } from "./keyless.ts";
import { type MapOrigin, readU64, writeU64 } from "./map.ts";

export interface PerfBufferOptions {
  /** virtual CPU whose programs may write to it; default: the slot's index */
  readonly cpu?: number | undefined;
  /** data pages of 4096 bytes, a power of two; default 64, as perf_buffer__new() callers use */
  readonly pages?: number | undefined;
  /** bits of PERF_SAMPLE; default RAW */
  readonly sampleType?: number | undefined;
  /** what PERF_SAMPLE_ID and PERF_RECORD_LOST name; default the slot's index + 1 */
  readonly sampleId?: bigint | undefined;
  /** records until a waiting reader is woken; default 1 */
  readonly wakeupEvents?: number | undefined;
}

export const DEFAULT_PERF_PAGES = 64;

export class PerfEventArrayMap extends KeylessMap {
  readonly #slots: number;
  /** by slot */
  readonly #buffers = new Map<number, number>();

  constructor(origin: MapOrigin) {
    super(origin, "perfEventArray");
    const { world, spec } = origin;
    this.#slots = this.own(world.arena.allocate(4 * spec.maxEntries));
    this.set(MAP.private + MAP_PRIVATE.perfEventArray.slots, this.#slots);
  }

  /** Slot → address of its buffer (PERF_BUFFER). */
  get buffers(): ReadonlyMap<number, number> {
    return this.#buffers;
  }

  override get size(): number {
    return this.#buffers.size;
  }

  /** Makes the buffer of a slot and returns its address. A slot that has one keeps it: -EBUSY. */
  openBuffer(index: number, options: PerfBufferOptions = {}): number {
    this.requireOpen();
    const pages = options.pages ?? DEFAULT_PERF_PAGES;
    const sampleType = options.sampleType ?? PERF_SAMPLE.RAW;
    if (!(index >= 0 && index < this.maxEntries))
      throw this.error("E2BIG", `slot ${index} of ${this.maxEntries} does not exist`);
    if (this.#buffers.has(index)) throw this.error("EBUSY", `slot ${index} has a buffer`);
    if (!Number.isInteger(Math.log2(pages)) || pages > 1 << 18)
      throw new UsageError("USAGE", `a perf buffer of ${pages} pages: a power of two up to 2^18 is needed`);
    const known = Object.values(PERF_SAMPLE).reduce((bits, bit) => bits | bit, 0);
    if ((sampleType & ~known) !== 0)
      throw new UsageError(
        "USAGE",
        `sample type 0x${sampleType.toString(16)}: only 0x${known.toString(16)} is written`,
      );
    const dataBytes = pages * PAGE_BYTES;
    const { arena } = this.world;
    const tailBytes = Math.min(PERF_BUFFER.tailBytes, dataBytes);
    const address = this.own(arena.allocate(PERF_BUFFER.headerBytes + dataBytes + tailBytes, PAGE_BYTES));
    const view = arena.view;
    writeU64(arena, address + PERF_BUFFER.dataOffset, BigInt(PERF_BUFFER.headerBytes));
    writeU64(arena, address + PERF_BUFFER.dataSize, BigInt(dataBytes));
    writeU64(arena, address + PERF_BUFFER.sampleType, BigInt(sampleType));
    writeU64(arena, address + PERF_BUFFER.sampleId, options.sampleId ?? BigInt(index + 1));
    view.setUint32(address + PERF_BUFFER.cpu, options.cpu ?? index, true);
    view.setUint32(address + PERF_BUFFER.wakeupEvents, options.wakeupEvents ?? 1, true);
    view.setUint32(address + PERF_BUFFER.data, address + PERF_BUFFER.headerBytes, true);
    view.setUint32(this.#slots + 4 * index, address, true);
    this.#buffers.set(index, address);
    return address;
  }

  /** Takes the buffer of a slot away, with what is in it. False where the slot has none. */
  closeBuffer(index: number): boolean {
    this.requireOpen();
    const address = this.#buffers.get(index);
    if (address === undefined) return false;
    this.world.arena.view.setUint32(this.#slots + 4 * index, 0, true);
    this.#buffers.delete(index);
    this.disown(address);
    return true;
  }

  /** Records that found no room, in all buffers that are open. */
  get lost(): bigint {
    this.requireOpen();
    let sum = 0n;
    for (const address of this.#buffers.values()) sum += readU64(this.world.arena, address + PERF_BUFFER.lost);
    return sum;
  }

  override get moreThanHalfFull(): boolean {
    this.requireOpen();
    const { arena } = this.world;
    return [...this.#buffers.values()].some((address) => {
      const unread = readU64(arena, address + PERF_BUFFER.dataHead) - readU64(arena, address + PERF_BUFFER.dataTail);
      return 2n * unread > readU64(arena, address + PERF_BUFFER.dataSize);
    });
  }
}
