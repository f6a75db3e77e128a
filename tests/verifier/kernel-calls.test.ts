/**
 * Calls of every kernel function (kernel-calls.ts): verdict, errno and message, ours against what Linux 6.18 answered; live
 * against the kernel where it can be asked. RECORD=1 writes its answers anew. Prototypes are in the kernel's BTF, so that
 * both want a machine that runs 6.18.
 */
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { verify } from "../../compiler/verifier/index.ts";
import { hasOwnIds, targetBtf } from "../filetests/runner/target.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { differences, RECORDING, type Recording, readRecording, writeRecording } from "../kernel/recording.ts";
import { withBtf } from "../verdict/btf.ts";
import { kernelVerdicts } from "./kernel/kernel.ts";
import { allowances, calls, type KernelCallCase } from "./kernel-calls.ts";

const RECORDED = new URL("recorded/kernel-calls.json.gz", import.meta.url);
const LOADER = fileURLToPath(new URL("kernel/load.c", import.meta.url));
const isKnown = release().startsWith("6.18.") && hasOwnIds();
const problem = isKnown ? oracleProblem() : `Linux ${release()} is not 6.18 with BTF`;

/** Some of the kernel's messages have no line of their own. */
const answer = (errno: string | null, message: string | null): string =>
  errno === null ? "accepted" : `${errno}: ${message?.replace(/processed \d+ insns.*$/, "")}`;

function kernels(asked: readonly KernelCallCase[]): Recording {
  const verdicts = kernelVerdicts(
    asked.map(({ program }) => program),
    LOADER,
  )!;
  return Object.fromEntries(
    asked.map(({ name }, index) => [name, answer(verdicts[index]!.errno, verdicts[index]!.message)]),
  );
}

/** Null: cannot be judged yet. */
function ours({ program }: KernelCallCase): string | null {
  const result = verify(program);
  if (result.verdict === "unsupported") return null;
  if (result.verdict === "accepted") return answer(null, null);
  return answer(result.error.errno ?? null, result.error.message);
}

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
    const answers = kernels(asked);
    if (RECORDING) writeRecording(RECORDED, answers);
    expect(differences(answers, readRecording(RECORDED))).toEqual([]);
  });

  test("as recorded", { timeout: 120_000 }, () => {
    const recorded = readRecording(RECORDED);
    const judged = asked.flatMap((one) => {
      const verdict = ours(one);
      return verdict === null ? [] : [[one.name, verdict] as const];
    });
    const known = Object.fromEntries(judged.map(([name]) => [name, recorded[name]!]));
    expect(differences(Object.fromEntries(judged), known)).toEqual([]);
    expect(judged.length / asked.length).toBeGreaterThan(0.99);
  });
});
