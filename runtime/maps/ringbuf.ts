/**
 * The BPF ring buffer as a map: its memory and its positions, one ring or one for each lane of workers. Reading it is
 * runtime/rings/'s. Kernel: kernel/bpf/ringbuf.c.
 */
import { MAP, MAP_PRIVATE, PAGE_BYTES, RING } from "../../spec/index.ts";
import { KeylessMap } from "./keyless.ts";
import { type MapOrigin, readU64 } from "./map.ts";

export interface RingbufOptions {
  /** bytes of the largest record that programs write, where that is known: the overflow tail need not be longer */
  readonly largestRecordBytes?: number | undefined;
  /** one ring for all workers, in the order in which they reserve; default: each lane of workers has its own */
  readonly strictRing?: boolean | undefined;
}

const WORDS = MAP_PRIVATE.ringbuf;

export class RingbufMap extends KeylessMap {
  /** addresses of the RINGs: one, or one a lane. They change when the tail does: fitRecords(). */
  rings: readonly number[] = [];
  readonly #lanes: number;
  #tailBytes = 0;

  constructor(origin: MapOrigin, options: RingbufOptions = {}) {
    super(origin, "ringbuf");
    const { world, spec } = origin;
    const { arena } = world;
    const isShared = options.strictRing === true && arena.lanes > 1;
    this.#lanes = this.own(arena.allocate(4 * arena.lanes));
    this.#word("lanes", this.#lanes);
    this.#word("bytes", spec.maxEntries);
    this.#word("rings", isShared ? 1 : arena.lanes);
    this.#place(tailFor(spec.maxEntries, options.largestRecordBytes), []);
    for (const ring of this.rings) {
      arena.view.setUint32(ring + RING.map, this.address, true);
      arena.view.setUint32(ring + RING.shared, isShared ? 1 : 0, true);
    }
  }

  /**
   * Makes room for records of so many bytes (undefined: not known) where the map was made for smaller ones, for another
   * object that writes to it. No program may run.
   */
  fitRecords(largestRecordBytes: number | undefined): void {
    this.requireOpen();
    const tailBytes = tailFor(this.maxEntries, largestRecordBytes);
    if (tailBytes <= this.#tailBytes) return;
    this.world.settle?.();
    const old = this.rings;
    this.#place(tailBytes, old);
    this.disown(old[0]!);
  }

  /** The first ring: the only one, where there are no lanes or all share it. */
  get ring(): number {
    return this.rings[0]!;
  }

  /** Workers of several lanes write to one ring. */
  get isShared(): boolean {
    return this.world.arena.view.getUint32(this.ring + RING.shared, true) !== 0;
  }

  /** Records that no reader gets: that found no room, and that a worker left behind. */
  get dropped(): bigint {
    return this.#sum(RING.dropped);
  }

  /** Those of `dropped` that a worker had reserved when it died. */
  get abandoned(): bigint {
    return this.#sum(RING.abandoned);
  }

  /** Bytes written and not yet read, headers and busy records included. Kernel: BPF_RB_AVAIL_DATA. */
  get availableBytes(): bigint {
    return this.#sum(RING.producer) - this.#sum(RING.consumer);
  }

  override get moreThanHalfFull(): boolean {
    this.requireOpen();
    const { arena } = this.world;
    return this.rings.some(
      (ring) =>
        2n * (readU64(arena, ring + RING.producer) - readU64(arena, ring + RING.consumer)) > BigInt(this.maxEntries),
    );
  }

  /** From now on every record's time is kept, so that a reader can put those of several rings in order. */
  keepTimes(): void {
    this.requireOpen();
    this.world.settle?.();
    const { arena } = this.world;
    for (const ring of this.rings)
      if (arena.view.getUint32(ring + RING.times, true) === 0) {
        const times = this.own(arena.allocate(this.maxEntries));
        arena.view.setUint32(ring + RING.times, times, true);
        arena.view.setBigUint64(ring + RING.easy, 0n, true);
      }
  }

  #sum(word: number): bigint {
    this.requireOpen();
    return this.rings.reduce((sum, ring) => sum + readU64(this.world.arena, ring + word), 0n);
  }

  /** Lays the rings out anew, with what is in the old ones. */
  #place(tailBytes: number, old: readonly number[]): void {
    const { arena } = this.world;
    const bytes = RING.data + this.maxEntries + this.#tailBytes;
    const count = this.get(MAP.private + WORDS.rings);
    const stride = Math.ceil((RING.data + this.maxEntries + tailBytes) / PAGE_BYTES) * PAGE_BYTES;
    const first = this.own(arena.allocate(count * stride, PAGE_BYTES));
    this.rings = Array.from({ length: count }, (_, index) => first + index * stride);
    for (const [index, ring] of old.entries()) arena.bytes.copyWithin(this.rings[index]!, ring, ring + bytes);
    for (let lane = 0; lane < arena.lanes; lane++)
      arena.view.setUint32(this.#lanes + 4 * lane, this.rings[lane % count]!, true);
    this.#tailBytes = tailBytes;
    this.#word("tailBytes", tailBytes);
    this.#word("ring", first);
    this.#word("ringStride", stride);
  }

  #word(name: keyof typeof WORDS, value: number): void {
    this.set(MAP.private + WORDS[name], value);
  }
}

/** As long as the largest record with its header, at most the ring. */
const tailFor = (ringBytes: number, largestRecordBytes = ringBytes): number =>
  Math.min(ringBytes, Math.ceil((largestRecordBytes + RING.headerBytes) / 8) * 8);
