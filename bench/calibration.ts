/**
 * The yardstick of machines whose kernel cannot be asked: a fixed loop of JavaScript that does nothing of ours, arithmetic and
 * counting at random places of a table. It says how fast the machine and its V8 are.
 */
const ROUNDS = 400_000;
/** 256 KiB: larger than the first cache, as maps are. */
const WORDS = 65_536;
const table = new Int32Array(WORDS);

/** ns a round. */
export function calibrate(): number {
  const started = process.hrtime.bigint();
  let state = 0x2545_f491;
  for (let round = 0; round < ROUNDS; round++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const at = state & (WORDS - 1);
    table[at] = (Math.imul(table[at]!, 31) + round) | 0;
  }
  return Number(process.hrtime.bigint() - started) / ROUNDS;
}
