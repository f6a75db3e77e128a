/** Memory that is given with an event, by the 64-bit addresses that its arguments name. */

/** A place outside the arena and what is there. */
export interface MemoryAt {
  readonly address: bigint;
  /** a text ends in a zero byte */
  readonly bytes: Uint8Array | string;
}

interface Region {
  readonly start: bigint;
  readonly bytes: Uint8Array;
}

export class GivenMemory {
  readonly #arena: { readonly bytes: Uint8Array };
  readonly #regions: readonly Region[];

  constructor(arena: { readonly bytes: Uint8Array }, memory: readonly MemoryAt[]) {
    this.#arena = arena;
    this.#regions = memory.map(({ address, bytes }) => ({
      start: BigInt.asUintN(64, address),
      bytes: typeof bytes === "string" ? new TextEncoder().encode(`${bytes}\0`) : bytes,
    }));
  }

  /** Copies what is known from `address` on, at most `bytes`; returns how many bytes that are. As EventSource.readForeign. */
  readForeign(address: bigint, destination: number, bytes: number): number {
    for (const { start, bytes: known } of this.#regions) {
      if (address < start || address >= start + BigInt(known.length)) continue;
      const from = Number(address - start);
      const part = known.subarray(from, from + bytes);
      this.#arena.bytes.set(part, destination);
      return part.length;
    }
    return 0;
  }
}
