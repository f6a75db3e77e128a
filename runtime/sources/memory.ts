/**
 * The arena as a source's hot loops see it: typed arrays that are taken anew only when an allocation may have grown the
 * memory, since asking the world for them at every access costs more than decoding an event.
 */
import type { SourceWorld } from "../source.ts";

export class ArenaMemory {
  readonly world: SourceWorld;
  /** the whole memory: index = address / 4, and = address */
  words: Int32Array;
  octets: Uint8Array;

  constructor(world: SourceWorld) {
    this.world = world;
    this.octets = world.bytes;
    this.words = new Int32Array(this.octets.buffer);
  }

  /** Every allocation of a source goes through here, so the arrays reach as far as the memory. */
  allocate(bytes: number, alignment: number): number {
    const address = this.world.allocate(bytes, alignment);
    this.refresh();
    return address;
  }

  /** After anything else may have grown the memory. */
  refresh(): void {
    const octets = this.world.bytes;
    if (octets.buffer === this.words.buffer) return;
    this.octets = octets;
    this.words = new Int32Array(octets.buffer);
  }
}
