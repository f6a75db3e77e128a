/**
 * The user ring buffer as a map: its memory and its positions. Writing samples is runtime/rings/'s, reading them the
 * programs'. Kernel: kernel/bpf/ringbuf.c.
 */
import type { MapError } from "../../base/index.ts";
import { type ErrnoName, MAP, MAP_PRIVATE, PAGE_BYTES, RING } from "../../spec/index.ts";
import { ElementlessMap } from "./elementless.ts";
import type { MapOrigin } from "./map.ts";

const WORDS = MAP_PRIVATE.userRingbuf;

export class UserRingbufMap extends ElementlessMap {
  /** address of the RING */
  readonly ring: number;
  #writer: Disposable | null = null;

  constructor(origin: MapOrigin) {
    super(origin, "userRingbuf");
    const { world, spec } = origin;
    const bytes = spec.maxEntries;
    // A sample may be as long as the ring, so the overflow tail is too.
    this.ring = this.own(world.arena.allocate(RING.data + 2 * bytes, PAGE_BYTES));
    this.set(MAP.private + WORDS.ring, this.ring);
    this.set(MAP.private + WORDS.bytes, bytes);
    world.arena.view.setUint32(this.ring + RING.map, this.address, true);
  }

  /** Address of one of the descriptor's words. */
  word(name: keyof typeof WORDS): number {
    return this.address + MAP.private + WORDS[name];
  }

  /** Makes `writer` the one that writes samples; a second one would write over the first's: -EBUSY. */
  attachWriter(writer: Disposable): void {
    this.requireOpen();
    if (this.#writer !== null) throw this.error("EBUSY", "it has a writer already");
    this.#writer = writer;
  }
  detachWriter(writer: Disposable): void {
    if (this.#writer === writer) this.#writer = null;
  }

  /** What its writer cannot do. */
  refuse(errno: ErrnoName, message: string): MapError {
    return this.error(errno, message);
  }

  protected override get instead(): string {
    return "programs drain it";
  }
  protected override onClose(): void {
    this.#writer?.[Symbol.dispose]();
  }
}
