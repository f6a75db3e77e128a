/** The BPF ring buffer as a map: its memory and its positions. Reading it is runtime/rings/'s. Kernel: kernel/bpf/ringbuf.c. */
import { MAP, MAP_PRIVATE, PAGE_BYTES, RING } from "../../spec/index.ts";
import { KeylessMap } from "./keyless.ts";
import { type MapOrigin, readU64 } from "./map.ts";

export interface RingbufOptions {
  /** bytes of the largest record that programs write, where that is known: the overflow tail need not be longer */
  readonly largestRecordBytes?: number | undefined;
}

export class RingbufMap extends KeylessMap {
  /** address of the RING */
  readonly ring: number;

  constructor(origin: MapOrigin, options: RingbufOptions = {}) {
    super(origin, "ringbuf");
    const { world, spec } = origin;
    const bytes = spec.maxEntries;
    const largest = Math.ceil(((options.largestRecordBytes ?? bytes) + RING.headerBytes) / 8) * 8;
    const tailBytes = Math.min(bytes, largest);
    this.ring = this.own(world.arena.allocate(RING.data + bytes + tailBytes, PAGE_BYTES));
    this.set(MAP.private + MAP_PRIVATE.ringbuf.ring, this.ring);
    this.set(MAP.private + MAP_PRIVATE.ringbuf.bytes, bytes);
    this.set(MAP.private + MAP_PRIVATE.ringbuf.tailBytes, tailBytes);
    world.arena.view.setUint32(this.ring + RING.map, this.address, true);
  }

  /** Records that found no room. */
  get dropped(): bigint {
    this.requireOpen();
    return readU64(this.world.arena, this.ring + RING.dropped);
  }

  /** Bytes written and not yet read, headers and busy records included. Kernel: BPF_RB_AVAIL_DATA. */
  get availableBytes(): bigint {
    this.requireOpen();
    const { arena } = this.world;
    return readU64(arena, this.ring + RING.producer) - readU64(arena, this.ring + RING.consumer);
  }

  override get moreThanHalfFull(): boolean {
    return 2n * this.availableBytes > BigInt(this.maxEntries);
  }
}
