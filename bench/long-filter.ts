/** Programs of any length, for what compiling costs: a packet filter that the verifier walks once. */
import { assembleProgram, type Program } from "../compiler/index.ts";

/**
 * Instructions of one round, the jump to the next round included. The kernel keeps no more than 8,192 branches open, so that
 * they cannot be more frequent in the longest program.
 */
const ROUND = [
  "r3 = *(u8 *)(r6 +12)",
  "r4 = *(u8 *)(r6 +13)",
  "r3 <<= 8",
  "r3 |= r4",
  "if r3 == NUMBER goto NEXT",
  "r5 = r3",
  "r5 *= 31",
  "r5 ^= NUMBER",
  "*(u64 *)(r10 -SLOT) = r5",
  "r0 += r5",
  "r4 = *(u16 *)(r6 +0)",
  "r4 <<= 3",
  "r4 += NUMBER",
  "r5 = *(u64 *)(r10 -SLOT)",
  "r5 += r4",
  "r5 >>= 7",
  "r5 ^= r3",
  "*(u64 *)(r10 -SLOT) = r5",
  "r4 = r5",
  "r0 ^= r4",
] as const;
/** Bytes of stack that rounds take turns in. */
const SLOTS = 64;

/**
 * About so many instructions: loads from the packet, arithmetic, a branch in twenty and stores to the stack, in a chain of rounds
 * whose paths join again.
 */
export function longFilter(instructions: number): Program {
  const lines = [
    "; prog: xdp",
    "r0 = 0",
    "r6 = *(u32 *)(r1 +0)",
    "r2 = *(u32 *)(r1 +4)",
    "r7 = r6",
    "r7 += 14",
    "if r7 <= r2 goto begin",
    "r0 = 1",
    "exit",
    "begin:",
  ];
  const rounds = Math.floor(Math.max(0, instructions - 11) / ROUND.length);
  for (let round = 0; round < rounds; round++) {
    const next = round + 1 < rounds ? `round${round + 1}` : "end";
    if (round > 0) lines.push(`round${round}:`);
    for (const text of ROUND) {
      lines.push(
        text
          .replace("NUMBER", String(round))
          .replace("NEXT", next)
          .replace("SLOT", String(8 + 8 * (round % SLOTS))),
      );
    }
  }
  lines.push("end:", "r0 &= 1", "r0 += 1", "exit");
  return assembleProgram(`${lines.join("\n")}\n`).program;
}
