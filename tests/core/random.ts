/** Reproducible chance and damage to bytes, for tests that throw broken input at a reader. */

export type Random = (below: number) => number;

/** mulberry32 */
export function generator(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const WORDS = [0, 1, 2, 24, 32, 0xffff, 0x10000, 0x1000000, 0x7fffffff, 0x80000000, 0xffffffff];

/** Changes words as a format of 32-bit words is broken: numbers off by one, words swapped, copied, cut, bits flipped. */
export function damageWords(original: Uint8Array, random: Random): Uint8Array {
  const bytes = original.slice();
  const view = new DataView(bytes.buffer);
  const words = bytes.length >> 2;
  const wordAt = () => 4 * random(words);
  for (let times = 1 + random(4); times > 0; times--) {
    const at = wordAt();
    switch (random(6)) {
      case 0:
        view.setUint32(at, WORDS[random(WORDS.length)]!, true);
        break;
      case 1:
        view.setUint32(at, view.getUint32(at, true) + [1, -1, 4, -4, 12, 1 << 24][random(6)]!, true);
        break;
      case 2:
        bytes[random(bytes.length)]! ^= 1 << random(8);
        break;
      case 3: {
        const from = wordAt();
        bytes.copyWithin(at, from, from + 4 * (1 + random(8)));
        break;
      }
      case 4:
        // A reference to some other type.
        view.setUint32(at, random(64), true);
        break;
      default:
        if (random(8) === 0) return bytes.subarray(0, random(bytes.length));
    }
  }
  return bytes;
}
