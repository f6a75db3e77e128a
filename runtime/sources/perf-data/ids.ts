/** Sample id → index of its event: a small open-addressed table over the two halves of the id, since a lookup is per sample. */
import type { PerfAttr } from "./attr.ts";
import { malformed } from "./header.ts";

/** Words of a slot: low half, high half, index of the event + 1. */
const SLOT_WORDS = 3;
/** Fibonacci hashing: ids are small consecutive numbers. */
const MULTIPLIER = 0x9e37_79b1;

export class IdTable {
  readonly #slots: Int32Array;
  readonly #shift: number;

  constructor(attrs: readonly PerfAttr[]) {
    const ids = attrs.flatMap((attr, index) => attr.ids.map((id) => ({ id, index })));
    const bits = Math.max(4, Math.ceil(Math.log2(ids.length * 2 + 1)));
    this.#slots = new Int32Array((1 << bits) * SLOT_WORDS);
    this.#shift = 32 - bits;
    for (const { id, index } of ids) this.#insert(id | 0, Math.floor(id / 2 ** 32) | 0, index);
  }

  /** -1 where no event has this id. Halves may be signed or unsigned. */
  find(low: number, high: number): number {
    const slots = this.#slots;
    let at = (Math.imul(low, MULTIPLIER) >>> this.#shift) * SLOT_WORDS;
    for (;;) {
      const index = slots[at + 2]!;
      if (index === 0 || (slots[at] === (low | 0) && slots[at + 1] === (high | 0))) return index - 1;
      at += SLOT_WORDS;
      if (at === slots.length) at = 0;
    }
  }

  #insert(low: number, high: number, index: number): void {
    const known = this.find(low, high);
    if (known === index) return;
    if (known >= 0) throw malformed("two events of the recording have the same id", 0);
    let at = (Math.imul(low, MULTIPLIER) >>> this.#shift) * SLOT_WORDS;
    while (this.#slots[at + 2] !== 0) at = (at + SLOT_WORDS) % this.#slots.length;
    this.#slots.set([low, high, index + 1], at);
  }
}
