/**
 * Perf event arrays: a buffer per virtual CPU, laid out as perf_event_open() and mmap() give it. Reading them is
 * runtime/rings/'s. Kernel: perf_event_array_map_ops in kernel/bpf/arraymap.c, kernel/events/ring_buffer.c.
 */
import { UsageError } from "../../base/index.ts";
import { MAP, MAP_PRIVATE, PAGE_BYTES, PERF_BUFFER, PERF_MODE, PERF_RECORD, PERF_SAMPLE } from "../../spec/index.ts";
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
  /** records until a waiting reader is woken; default 1, 0: by bytes only */
  readonly wakeupEvents?: number | undefined;
  /** bytes until a waiting reader is woken, instead of records; by default half of the buffer wakes too, as in the kernel */
  readonly wakeupBytes?: number | undefined;
  /**
   * What the buffer holds. samples: records with header and fields, the oldest first, for a reader. overwrite: the latest
   * of them, written backward over what is oldest, for snapshot(). bare: the bytes as programs give them, in fours, for a
   * reader that is given their framing; losses are counted apart.
   */
  readonly format?: "samples" | "overwrite" | "bare" | undefined;
}

const MODES = { samples: 0, overwrite: PERF_MODE.BACKWARD, bare: PERF_MODE.BARE } as const;

export const DEFAULT_PERF_PAGES = 64;
const isCount = (value: number): boolean => Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;

export class PerfEventArrayMap extends KeylessMap {
  readonly #slots: number;
  /** by slot */
  readonly #buffers = new Map<number, number>();
  /** of buffers that are closed */
  #lostBefore = 0n;
  #cutBefore = 0n;

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
    const { wakeupEvents = 1, wakeupBytes, format = "samples" } = options;
    if (!isCount(wakeupEvents) || (wakeupBytes !== undefined && !isCount(wakeupBytes)))
      throw new UsageError(
        "USAGE",
        `wake-up after ${wakeupEvents} records or ${wakeupBytes} bytes: numbers are needed`,
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
    // Kernel: ring_buffer_init(); an event that wakes by bytes does not count records
    view.setUint32(address + PERF_BUFFER.wakeupEvents, wakeupBytes === undefined ? wakeupEvents : 0, true);
    view.setUint32(address + PERF_BUFFER.watermark, Math.min(wakeupBytes || dataBytes / 2, dataBytes), true);
    view.setUint32(address + PERF_BUFFER.mode, MODES[format], true);
    view.setUint32(address + PERF_BUFFER.map, this.address, true);
    view.setUint32(address + PERF_BUFFER.bareLimit, tailBytes, true);
    view.setUint32(address + PERF_BUFFER.data, address + PERF_BUFFER.headerBytes, true);
    view.setUint32(this.#slots + 4 * index, address, true);
    this.#buffers.set(index, address);
    return address;
  }

  /** Takes the buffer of a slot away, with what is in it. False where the slot has none. Its losses stay counted. */
  closeBuffer(index: number): boolean {
    this.requireOpen();
    const address = this.#buffers.get(index);
    if (address === undefined) return false;
    this.world.settle?.();
    this.#lostBefore += readU64(this.world.arena, address + PERF_BUFFER.lost) + this.#unread(address);
    this.#cutBefore += readU64(this.world.arena, address + PERF_BUFFER.cut);
    this.world.arena.view.setUint32(this.#slots + 4 * index, 0, true);
    this.#buffers.delete(index);
    this.disown(address);
    return true;
  }

  /** Records that no reader gets: all that programs made = those that were read + these. Still told when the map is closed. */
  get lost(): bigint {
    return this.#lostBefore + this.#sum(PERF_BUFFER.lost);
  }

  /** Records of 64 KiB or more, of which a reader gets what the 16 bits of their length leave, as in the kernel. */
  get cut(): bigint {
    return this.#cutBefore + this.#sum(PERF_BUFFER.cut);
  }

  /** While a buffer is paused, records for it are lost. Kernel: PERF_EVENT_IOC_PAUSE_OUTPUT. */
  setPaused(index: number, paused: boolean): void {
    const word = this.bufferOf(index) + PERF_BUFFER.mode;
    if (paused) Atomics.or(this.world.arena.i32, word / 4, PERF_MODE.PAUSED);
    else Atomics.and(this.world.arena.i32, word / 4, ~PERF_MODE.PAUSED);
  }

  /** Address of a slot's buffer; -ENOENT where it has none. */
  bufferOf(index: number): number {
    this.requireOpen();
    const address = this.#buffers.get(index);
    if (address === undefined) throw this.error("ENOENT", `slot ${index} has no buffer`);
    return address;
  }

  /** Records that are there and that nobody read: they count as lost when the buffer goes. Bare ones cannot be told apart. */
  #unread(address: number): bigint {
    const { arena } = this.world;
    const { view } = arena;
    if (view.getUint32(address + PERF_BUFFER.mode, true) !== 0) return 0n;
    const data = view.getUint32(address + PERF_BUFFER.data, true);
    const mask = view.getUint32(address + PERF_BUFFER.dataSize, true) - 1;
    let position = view.getUint32(address + PERF_BUFFER.dataTail, true);
    let left = (view.getUint32(address + PERF_BUFFER.dataHead, true) - position) >>> 0;
    let count = 0n;
    while (left > 0) {
      const record = data + (position & mask);
      if (view.getUint32(record, true) === PERF_RECORD.SAMPLE) count += 1n;
      const length = view.getUint16(record + 6, true);
      // a reader on another thread may have gone on meanwhile, or the memory is no longer ours to trust
      if (length === 0 || length > left) break;
      position += length;
      left -= length;
    }
    return count;
  }

  protected override onClose(): void {
    super.onClose();
    for (const index of [...this.#buffers.keys()]) this.closeBuffer(index);
  }

  #sum(word: number): bigint {
    let sum = 0n;
    for (const address of this.#buffers.values()) sum += readU64(this.world.arena, address + word);
    return sum;
  }

  override get moreThanHalfFull(): boolean {
    this.requireOpen();
    const { arena } = this.world;
    return [...this.#buffers.values()].some((address) => {
      if ((arena.view.getUint32(address + PERF_BUFFER.mode, true) & PERF_MODE.BACKWARD) !== 0) return false;
      const unread = readU64(arena, address + PERF_BUFFER.dataHead) - readU64(arena, address + PERF_BUFFER.dataTail);
      return 2n * unread > readU64(arena, address + PERF_BUFFER.dataSize);
    });
  }
}
