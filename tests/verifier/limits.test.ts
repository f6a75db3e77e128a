/**
 * Programs at and beyond the verifier's limits: the kernel's verdict on each (live where it can be asked), in bounded time
 * and memory.
 */
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { assembleProgram } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { withBtf } from "../verdict/btf.ts";
import { kernelVerdicts } from "./kernel/kernel.ts";

const LOADER = fileURLToPath(new URL("kernel/load.c", import.meta.url));
const STATISTICS = 4;
const problem = oracleProblem() ?? (release().startsWith("6.18.") ? null : `Linux ${release()} is not 6.18`);

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const END = ["r0 = 0", "exit"];

function program(lines: readonly string[], maps: readonly string[] = []): Program {
  const text = ["; prog: tracepoint license=GPL", ...maps.map((map) => `; map: ${map}`), ...lines].join("\n");
  return withBtf(assembleProgram(text).program);
}

/** Each of `count` functions calls none; main calls them all. */
const manyFunctions = (count: number): string[] => [
  ...range(count).map((index) => `call f${index}`),
  ...END,
  ...range(count).flatMap((index) => [`f${index}:`, ...END]),
];
/** Each jump leaves a path behind that only the end of the program takes up. */
const manyJumps = (count: number): string[] => [
  ...range(count).flatMap((index) => [`r2 = *(u64 *)(r1 + 8)`, `if r2 == ${index} goto +0`]),
  ...END,
];
const manyMaps = (count: number): readonly [string[], string[]] => [
  [...range(count).map((index) => `r1 = map[m${index}] ll`), ...END],
  range(count).map((index) => `m${index} array key=4 value=${index + 1} max=1`),
];
const countTo = (rounds: number): string[] => ["r6 = 0", "again:", "r6 += 1", `if r6 < ${rounds} goto again`, ...END];
/** As many spilled numbers as a frame has room for are live all the time: what is kept at each point is large. */
const wideStates = (rounds: number): string[] => [
  ...range(60).map((slot) => `*(u64 *)(r10 - ${8 * (slot + 1)}) = ${slot}`),
  ...countTo(rounds).slice(0, -2),
  ...range(60).map((slot) => `r3 = *(u64 *)(r10 - ${8 * (slot + 1)})`),
  ...END,
];

const CASES: readonly (readonly [name: string, verdict: string, program: Program])[] = [
  ["256 functions", "accepted", program(manyFunctions(255))],
  ["257 functions", "E2BIG: too many subprograms", program(manyFunctions(256))],
  ["8192 jumps put off", "accepted", program(manyJumps(8192))],
  ["8193 jumps put off", "EFAULT: The sequence of 8193 jumps is too complex.", program(manyJumps(8193))],
  ["64 maps", "accepted", program(...manyMaps(64))],
  ["65 maps", "E2BIG: The total number of maps per program has reached the limit of 64", program(...manyMaps(65))],
  ["a hundred thousand rounds", "accepted", program(countTo(100_000))],
  ["a million rounds", "E2BIG: BPF program is too large. Processed 1000001 insn", program(countTo(1_000_000))],
  [
    "a million rounds with much to keep",
    "E2BIG: BPF program is too large. Processed 1000001 insn",
    program(wideStates(1_000_000)),
  ],
];

const answer = (errno: string | null | undefined, message: string | null): string =>
  errno ? `${errno}: ${message}` : "accepted";

describe("at the limits", () => {
  test.each(CASES)("%s: %s", { timeout: 60_000 }, (_, expected, subject) => {
    const result = verify(subject);
    expect(result.verdict === "accepted" ? answer(null, null) : answer(codeOf(result), result.error.message)).toBe(
      expected,
    );
  });

  test.skipIf(problem !== null)(`live${problem === null ? "" : ` (${problem})`}`, { timeout: 60_000 }, () => {
    const subjects = CASES.map(([, , subject]) => subject);
    const verdicts = kernelVerdicts(subjects, LOADER, STATISTICS)!;
    expect(verdicts.map(({ errno, message }) => answer(errno, message))).toEqual(CASES.map(([, expected]) => expected));
  });
});

const codeOf = (result: Exclude<ReturnType<typeof verify>, { verdict: "accepted" }>): string =>
  result.verdict === "rejected" ? (result.error.errno ?? "?") : result.verdict;

describe("time and memory", () => {
  test("a hundred thousand instructions in less than a second", () => {
    const subject = program(countTo(50_000));
    const times = range(3).map(() => {
      const from = performance.now();
      expect(verify(subject).processedInsns).toBeGreaterThan(100_000);
      return performance.now() - from;
    });
    expect(Math.min(...times)).toBeLessThan(1000);
  });
  test("a million instructions that no precision can be followed through", { timeout: 60_000 }, () => {
    // The kernel takes minutes for this one: it marks all states before each time around.
    const lines = ["r6 = r1", "r9 = 0", "again:", "call bpf_get_prandom_u32", "r0 = *(u32 *)skb[r0 + 34]", "r9 += 1"];
    const jumps = ["if w0 <= 8 goto +1", "r0 = 7", "if r9 < r0 goto again", ...END];
    const text = ["; prog: socket_filter license=GPL", ...lines, ...jumps].join("\n");
    const result = verify(assembleProgram(text).program);
    expect(result.verdict).toBe("rejected");
    expect(result.processedInsns).toBe(1_000_001);
  });
  test("a million instructions in bounded memory", { timeout: 60_000 }, () => {
    const before = process.memoryUsage().rss;
    verify(program(wideStates(1_000_000)));
    expect(process.memoryUsage().rss - before).toBeLessThan(1 << 30);
  });
});
