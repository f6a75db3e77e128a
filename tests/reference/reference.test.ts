/** The reference interpreter against the kernel: every form of instruction on every edge value. */
import { describe, expect, test } from "vitest";
import { parseAssembly } from "../../compiler/asm/index.ts";
import { openOracle, oracleProblem } from "../kernel/oracle.ts";
import {
  answerFingerprint,
  differences,
  fingerprint,
  RECORDING,
  type Recording,
  readRecording,
  writeRecording,
} from "../kernel/recording.ts";
import { compiledEngine } from "../random/compiled.ts";
import { interpret } from "./interpret.ts";
import { opcodeTests } from "./opcodes.ts";

const RECORDED = new URL("recorded/opcodes.json.gz", import.meta.url);
const TESTS = opcodeTests();
const ours = () =>
  Object.fromEntries(
    TESTS.map(({ name, insns, memory }) => {
      const { r0, memory: after } = interpret(insns, memory);
      return [name, fingerprint(r0, after)];
    }),
  );

describe("every opcode form on edge values", () => {
  test("names are unique", () => {
    expect(new Set(TESTS.map((one) => one.name)).size).toBe(TESTS.length);
  });
  test("as the kernel answered when it was recorded", () => {
    expect(differences(ours(), readRecording(RECORDED))).toEqual([]);
  });
  const problem = oracleProblem();
  test.skipIf(problem !== null)(`as the kernel answers now${problem === null ? "" : ` (${problem})`}`, async () => {
    await using oracle = openOracle();
    const answers = await oracle.ask(TESTS);
    const theirs = Object.fromEntries(TESTS.map(({ name }, index) => [name, answerFingerprint(answers[index]!)]));
    if (RECORDING) writeRecording(RECORDED, theirs);
    expect(differences(ours(), theirs)).toEqual([]);
  });
});

test("compiled code agrees with it on edge values", async () => {
  await using compiled = compiledEngine();
  const theirs: Recording = {};
  for (let from = 0; from < TESTS.length; from += 64) {
    const batch = TESTS.slice(from, from + 64);
    const programs = batch.map((one, index) => ({ ...one, seed: index, misalign: one.misalign ?? 0 }));
    const outcomes = await compiled.run(programs);
    batch.forEach(({ name }, index) => {
      const outcome = outcomes[index]!;
      theirs[name] = "problem" in outcome ? outcome.problem : fingerprint(outcome.r0, outcome.memory);
    });
  }
  expect(differences(theirs, ours())).toEqual([]);
});

describe("what verified programs do not do", () => {
  const run =
    (text: string, memory = new Uint8Array(8)) =>
    () =>
      interpret(parseAssembly(text).insns, memory, { budget: 1000 });
  test.each([
    ["r0 = *(u8 *)(r1 + 8)\nexit", "MEMORY_FAULT"],
    ["r0 = *(u8 *)(r1 - 1)\nexit", "MEMORY_FAULT"],
    ["r0 = *(u64 *)(r1 + 1)\nexit", "MEMORY_FAULT"],
    ["r0 = *(u8 *)(r10 + 0)\nexit", "MEMORY_FAULT"],
    ["*(u64 *)(r10 - 513) = 1\nexit", "MEMORY_FAULT"],
    ["r0 = 0\nr0 = *(u8 *)(r0 + 0)\nexit", "MEMORY_FAULT"],
    ["r0 = 0", "MEMORY_FAULT"],
    ["goto -1", "BUDGET_EXHAUSTED"],
    ["call f\nf: call f\nexit", "MEMORY_FAULT"],
  ])("%j: %s", (text, code) => {
    expect(run(text)).toThrow(expect.objectContaining({ code }));
  });
  test("no memory: r1 and r2 are 0", () => {
    expect(interpret(parseAssembly("r0 = r1\nr0 += r2\nexit").insns, new Uint8Array(0)).r0).toBe(0n);
  });
});
