/**
 * Verdicts on random nearly valid programs: the kernel's, live where it can be asked, else as 6.18 gave them (RECORD=1 asks
 * anew). VERDICT_COUNT and VERDICT_SEED for more; `command.ts` for the program of a seed.
 */
import { cpus, release } from "node:os";
import { describe, expect, test } from "vitest";
import { oracleProblem } from "../kernel/oracle.ts";
import { RECORDING, readRecording, writeRecording } from "../kernel/recording.ts";
import { askKernel, compare, type Judgement, judge, type Outcome } from "./compare.ts";
import { FORMS, randomProgram } from "./generate.ts";

const RECORDED = new URL("recorded/verdicts.json.gz", import.meta.url);
const RECORDED_COUNT = 400;
const RECORDED_CPUS = 2;

const count = Number(process.env.VERDICT_COUNT ?? RECORDED_COUNT);
const firstSeed = Number(process.env.VERDICT_SEED ?? 1);
const problem = oracleProblem() ?? (release().startsWith("6.18.") ? null : `Linux ${release()} is not 6.18`);

/** Differences that are none of ours to repair, or none at all to who loads a program. */
const HARMLESS: readonly Outcome[] = ["same", "processed", "unsupported", "kernel bug"];

const range = (first: number, length: number): number[] => Array.from({ length }, (_, index) => first + index);

describe("verdicts on random programs", () => {
  test.skipIf(problem !== null)(`live${problem === null ? "" : ` (${problem})`}, seeds from ${firstSeed}`, () => {
    const programs = range(firstSeed, count).map(randomProgram);
    const kernel = askKernel(programs.map(({ program }) => program))!;
    const different = programs.flatMap(({ seed, program }, index) => {
      const comparison = compare(judge(program, cpus().length), kernel[index]!);
      return HARMLESS.includes(comparison.outcome) ? [] : [{ seed, ...comparison }];
    });
    expect(different).toEqual([]);
    if (RECORDING) {
      const verdicts = kernel.map((verdict, index) => [programs[index]!.seed, JSON.stringify(verdict)] as const);
      writeRecording(RECORDED, Object.fromEntries(verdicts));
    }
  });

  test("recorded", () => {
    const recording = Object.entries(readRecording(RECORDED));
    expect(recording).toHaveLength(RECORDED_COUNT);
    const different = recording.flatMap(([seed, text]) => {
      const comparison = compare(
        judge(randomProgram(Number(seed)).program, RECORDED_CPUS),
        JSON.parse(text) as Judgement,
      );
      return HARMLESS.includes(comparison.outcome) ? [] : [{ seed, ...comparison }];
    });
    expect(different).toEqual([]);
  });

  test("every statement is in programs that are accepted", () => {
    const used = new Map<string, number>(FORMS.map((form) => [form, 0]));
    for (const [seed, text] of Object.entries(readRecording(RECORDED))) {
      if ((JSON.parse(text) as Judgement).errno !== null) continue;
      for (const form of new Set(randomProgram(Number(seed)).forms)) used.set(form, used.get(form)! + 1);
    }
    expect([...used].filter(([, times]) => times < 5)).toEqual([]);
  });
});
