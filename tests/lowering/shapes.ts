/** Programs of any size whose control flow has one shape throughout. */

/** r6 is 0, which no optimiser knows: comparisons with other numbers stay. */
const START = ["r0 = 1", "*(u64 *)(r10 - 8) = 0", "r6 = *(u64 *)(r10 - 8)"];

/** Programs of about `insns` instructions, as text, by shape. */
export const SHAPES: Readonly<Record<string, (insns: number) => string[]>> = {
  "a straight line": (insns) => [...START, ...repeat(insns, (i) => [`r0 += ${i % 7}`]), "exit"],
  "a chain of values": (insns) => [...START, ...repeat(insns / 2, (i) => ["r0 *= 0x10001", `r0 ^= ${i}`]), "exit"],
  "a chain of what takes several operations each": (insns) => [
    ...START,
    ...repeat(insns / 5, () => ["w0 s%= 77777", "r0 = bswap32 r0", "r0 s/= -3", "w0 = (s16)w0", "w0 s>>= 1"]),
    "exit",
  ],
  "checks that all leave to one exit": (insns) => [
    ...START,
    ...repeat(insns / 2, () => ["r0 += 1", "if r6 == -1 goto out"]),
    "out:",
    "exit",
  ],
  "diamonds in a row": (insns) => [
    ...START,
    ...repeat(insns / 4, (i) => [`if r0 & 1 goto t${i}`, "r0 += 3", `goto j${i}`, `t${i}:`, "r0 += 5", `j${i}:`]),
    "exit",
  ],
  "a ladder of clean-up labels": (insns) => [
    ...START,
    ...repeat(insns / 4, (i) => ["r0 += 1", `if r6 == -${i + 1} goto c${i}`]),
    ...repeat(insns / 4, (i) => [`c${Math.floor(insns / 4) - 1 - i}:`, "r0 *= 3"]),
    "exit",
  ],
  "checks nested in checks": (insns) => [
    ...START,
    ...repeat(insns / 3, (i) => [`if r6 == -${i + 1} goto e${i}`]),
    ...repeat(insns / 3, (i) => ["r0 += 1", `e${Math.floor(insns / 3) - 1 - i}:`]),
    "exit",
  ],
  "loops in a row": (insns) => [
    ...START,
    ...repeat(insns / 4, (i) => ["r1 = 2", `l${i}:`, "r0 += 1", "r1 -= 1", `if r1 != 0 goto l${i}`]),
    "exit",
  ],
  "loops in loops": (insns) => [
    ...START,
    ...repeat(insns / 2, (i) => [`l${i}:`]),
    ...repeat(insns / 2, (i) => ["r0 += 1", `if r6 == -${i + 1} goto l${Math.floor(insns / 2) - 1 - i}`]),
    "exit",
  ],
  "jumps from the middle into everything": (insns) => [
    ...START,
    ...repeat(insns / 4, (i) => [
      "r0 += 1",
      `if r6 == -${i + 2} goto x${(i * 7919) % Math.floor(insns / 4)}`,
      `x${i}:`,
      "r0 *= 5",
    ]),
    "exit",
  ],
};

function repeat(count: number, make: (index: number) => string[]): string[] {
  return Array.from({ length: Math.floor(count) }, (_, index) => make(index)).flat();
}
