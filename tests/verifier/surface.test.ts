/**
 * What each type of program may touch (surface.ts), ours against what Linux 6.18 answered; live against the kernel where it
 * can be asked. RECORD=1 writes its answers anew.
 */
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { verify } from "../../compiler/verifier/index.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { differences, RECORDING, type Recording, readRecording, writeRecording } from "../kernel/recording.ts";
import { kernelVerdicts } from "./kernel/kernel.ts";
import { type Question, questions, type Verdict } from "./surface.ts";

const RECORDED = new URL("recorded/surface.json.gz", import.meta.url);
const LOADER = fileURLToPath(new URL("kernel/load.c", import.meta.url));
const problem = oracleProblem() ?? (release().startsWith("6.18.") ? null : `Linux ${release()} is not 6.18`);

/** Helpers that this kernel's configuration takes away: no kprobe override, no writes to user memory under lockdown. */
const CONFIGURED: readonly number[] = [36, 58];

function write({ name, letter }: Question, verdicts: readonly Verdict[]): string {
  const letters = verdicts.map(letter);
  if (name.endsWith(" helpers")) for (const id of CONFIGURED) letters[id - 1] = "x";
  return letters.join("");
}

function ours(asked: readonly Question[]): Recording {
  return Object.fromEntries(
    asked.map((question) => [
      question.name,
      write(
        question,
        question.programs.map((program): Verdict => {
          const result = verify(program);
          if (result.verdict === "accepted") return { errno: null, message: null };
          if (result.verdict === "unsupported") return { errno: "unsupported", message: result.error.message };
          return { errno: result.error.errno ?? null, message: result.error.message };
        }),
      ),
    ]),
  );
}

function kernels(asked: readonly Question[]): Recording {
  const verdicts = kernelVerdicts(
    asked.flatMap(({ programs }) => programs),
    LOADER,
  )!;
  let at = 0;
  return Object.fromEntries(
    asked.map((question) => {
      const mine = verdicts.slice(at, at + question.programs.length);
      at += question.programs.length;
      return [question.name, write(question, mine)];
    }),
  );
}

describe("helpers, contexts, results and attach types of every program type", () => {
  const asked = questions();

  test.skipIf(problem !== null)(`live${problem === null ? "" : ` (${problem})`}`, { timeout: 120_000 }, () => {
    const answers = kernels(asked);
    if (RECORDING) writeRecording(RECORDED, answers);
    expect(differences(answers, readRecording(RECORDED))).toEqual([]);
  });

  test("as recorded", { timeout: 60_000 }, () => {
    expect(differences(ours(asked), readRecording(RECORDED))).toEqual([]);
  });
});
