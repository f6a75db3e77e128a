/** Random damage to bytes, repeatable by its seed. */

/** Numbers in [0, bound), by a 32-bit mixer. */
export type Random = (bound: number) => number;

export function makeRandom(seed: number): Random {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x9e37_79b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85eb_ca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % bound;
  };
}

/** A copy with one to eight damages: bits flipped, words made extreme, a region moved, the end cut off. */
export function damage(bytes: Uint8Array, random: Random): Uint8Array {
  let result = Uint8Array.from(bytes);
  for (let left = 1 + random(8); left > 0; left--) {
    // Half of the damages go to the head, where the structure is.
    const within = random(2) === 0 ? Math.min(result.length, 4096) : result.length;
    const at = random(Math.max(1, within));
    const kind = random(10);
    if (kind < 5) result[at]! ^= 1 << random(8);
    else if (kind < 7) result.fill([0, 0xff, 0x7f, 0x80][random(4)]!, at, at + 1 + random(8));
    else if (kind < 9) result.copyWithin(at, random(result.length), random(result.length));
    else if (random(3) === 0) result = result.slice(0, Math.max(1, random(result.length)));
  }
  return result;
}
