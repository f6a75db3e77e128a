/**
 * Calls of every kernel function (kernel-calls.ts): verdict, errno and message, ours against what Linux 6.18 answered; live
 * against the kernel where it can be asked. RECORD=1 writes its answers anew. Prototypes are in the kernel's BTF, so that
 * both want a machine that runs 6.18.
 */
import { release } from "node:os";
import { beforeAll, describe, expect, test } from "vitest";
import { hasOwnIds, targetBtf } from "../filetests/runner/target.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { differences, RECORDING, readRecording, writeRecording } from "../kernel/recording.ts";
import { withBtf } from "../verdict/btf.ts";
import { kernelAnswers, ownAnswers } from "./kernel/answers.ts";
import { allowances, calls, type KernelCallCase } from "./kernel-calls.ts";

const RECORDED = new URL("recorded/kernel-calls.json.gz", import.meta.url);
const isKnown = release().startsWith("6.18.") && hasOwnIds();
const problem = isKnown ? oracleProblem() : `Linux ${release()} is not 6.18 with BTF`;

/** As of programs with debug information, without which the kernel refuses callbacks. */
const withDebugInfo = ({ name, program }: KernelCallCase): KernelCallCase => ({
  name,
  program: program.functions.length > 1 ? withBtf(program) : program,
});

describe.skipIf(!isKnown)("calls of every kernel function", () => {
  let asked: KernelCallCase[] = [];
  beforeAll(() => {
    const btf = targetBtf();
    asked = [...allowances(btf), ...calls(btf)].map(withDebugInfo);
  });

  test.skipIf(problem !== null)(`live${problem === null ? "" : ` (${problem})`}`, { timeout: 120_000 }, () => {
    const answers = kernelAnswers(asked);
    if (RECORDING) writeRecording(RECORDED, answers);
    expect(differences(answers, readRecording(RECORDED))).toEqual([]);
  });

  test("as recorded", { timeout: 120_000 }, () => {
    const recorded = readRecording(RECORDED);
    const judged = ownAnswers(asked);
    const names = Object.keys(judged);
    const known = Object.fromEntries(names.map((name) => [name, recorded[name]!]));
    expect(differences(judged, known)).toEqual([]);
    expect(names.length / asked.length).toBeGreaterThan(0.99);
  });
});
