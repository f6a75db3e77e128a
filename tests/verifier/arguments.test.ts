/**
 * Calls of every helper with wrong and right arguments (arguments.ts): verdict, errno and message, ours against what Linux
 * 6.18 answered; live against the kernel where it can be asked. RECORD=1 writes its answers anew.
 */
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { verify } from "../../compiler/verifier/index.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { differences, RECORDING, type Recording, readRecording, writeRecording } from "../kernel/recording.ts";
import { type Call, calls } from "./arguments.ts";
import { kernelVerdicts } from "./kernel/kernel.ts";

const RECORDED = new URL("recorded/arguments.json.gz", import.meta.url);
const LOADER = fileURLToPath(new URL("kernel/load.c", import.meta.url));
const problem = oracleProblem() ?? (release().startsWith("6.18.") ? null : `Linux ${release()} is not 6.18`);

/** Helpers that this kernel's configuration takes away: no kprobe override, no writes to user memory under lockdown. */
const CONFIGURED: readonly string[] = ["bpf_probe_write_user", "bpf_override_return"];

/** Some of the kernel's messages have no line of their own. */
const answer = (errno: string | null, message: string | null): string =>
  errno === null ? "accepted" : `${errno}: ${message?.replace(/processed \d+ insns.*$/, "")}`;

function kernels(asked: readonly Call[]): Recording {
  const verdicts = kernelVerdicts(
    asked.map(({ program }) => program),
    LOADER,
  )!;
  return Object.fromEntries(
    asked.map(({ name }, index) => [name, answer(verdicts[index]!.errno, verdicts[index]!.message)]),
  );
}

/** Null: cannot be judged yet. */
function ours({ program }: Call): string | null {
  const result = verify(program);
  if (result.verdict === "unsupported") return null;
  if (result.verdict === "accepted") return answer(null, null);
  return answer(result.error.errno ?? null, result.error.message);
}

describe("arguments of every helper", () => {
  const asked = calls().filter(({ name }) => !CONFIGURED.includes(name.split(" ")[0]!));

  test.skipIf(problem !== null)(`live${problem === null ? "" : ` (${problem})`}`, { timeout: 120_000 }, () => {
    const answers = kernels(asked);
    if (RECORDING) writeRecording(RECORDED, answers);
    expect(differences(answers, readRecording(RECORDED))).toEqual([]);
  });

  test("as recorded", { timeout: 60_000 }, () => {
    const recorded = readRecording(RECORDED);
    const judged = asked.flatMap((call): [string, string][] => {
      const verdict = ours(call);
      return verdict === null ? [] : [[call.name, verdict]];
    });
    const comparable = Object.fromEntries(judged.map(([name]) => [name, recorded[name]!]));
    expect(differences(Object.fromEntries(judged), comparable)).toEqual([]);
    expect(judged.length / asked.length).toBeGreaterThan(0.85);
  });
});
