/** What each type of program may do, ours against the kernel's verdict. */
import { cpus } from "node:os";
import { describe, expect, test } from "vitest";
import type { Program } from "../../compiler/program.ts";
import { hasOwnIds, targetBtf } from "../filetests/runner/target.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { askKernel, compare, judge } from "./compare.ts";
import { attachments, contextAccesses, helperCalls } from "./program-types.ts";

const problem = oracleProblem() ?? (hasOwnIds() ? null : "the kernel is not the one that types were recorded of");
const BATCH = 1000;

/** Differences, but for messages where the kernel says nothing. */
function differences(programs: readonly Program[]): string[] {
  const kernelBtf = targetBtf();
  const found: string[] = [];
  for (let first = 0; first < programs.length; first += BATCH) {
    const batch = programs.slice(first, first + BATCH);
    const kernel = askKernel(batch)!;
    batch.forEach((program, index) => {
      const {
        outcome,
        ours,
        kernel: theirs,
      } = compare(judge({ ...program, targetBtf: kernelBtf }, cpus().length), kernel[index]!);
      if (outcome === "same" || (outcome === "message" && theirs.message === null)) return;
      const what = `${program.type} ${program.attachType} ${JSON.stringify(program.insns[0])}`;
      found.push(`${what} ${outcome}: ${ours.message ?? ours.bug}, not ${theirs.errno} ${theirs.message}`);
    });
  }
  return found;
}

describe.skipIf(problem !== null)(`program types${problem === null ? "" : ` (${problem})`}`, () => {
  test.each([
    ["every place of every context", contextAccesses],
    ["every helper", helperCalls],
    ["every attach type", attachments],
  ] as const)("%s", { timeout: 600_000 }, (_, write) => {
    expect(differences([...write()])).toEqual([]);
  });
});
