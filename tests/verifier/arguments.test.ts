/**
 * Calls of every helper with wrong and right arguments (arguments.ts): verdict, errno and message, ours against what Linux
 * 6.18 answered; live against the kernel where it can be asked. RECORD=1 writes its answers anew.
 */
import { release } from "node:os";
import { describe, expect, test } from "vitest";
import { oracleProblem } from "../kernel/oracle.ts";
import { differences, RECORDING, readRecording, writeRecording } from "../kernel/recording.ts";
import { calls } from "./arguments.ts";
import { kernelAnswers, ownAnswers } from "./kernel/answers.ts";

const RECORDED = new URL("recorded/arguments.json.gz", import.meta.url);
const problem = oracleProblem() ?? (release().startsWith("6.18.") ? null : `Linux ${release()} is not 6.18`);

/** Helpers that this kernel's configuration takes away: no kprobe override, no writes to user memory under lockdown. */
const CONFIGURED: readonly string[] = ["bpf_probe_write_user", "bpf_override_return"];

describe("arguments of every helper", () => {
  const asked = calls().filter(({ name }) => !CONFIGURED.includes(name.split(" ")[0]!));

  test.skipIf(problem !== null)(`live${problem === null ? "" : ` (${problem})`}`, { timeout: 120_000 }, () => {
    const answers = kernelAnswers(asked);
    if (RECORDING) writeRecording(RECORDED, answers);
    expect(differences(answers, readRecording(RECORDED))).toEqual([]);
  });

  test("as recorded", { timeout: 60_000 }, () => {
    const recorded = readRecording(RECORDED);
    const judged = ownAnswers(asked);
    const names = Object.keys(judged);
    const comparable = Object.fromEntries(names.map((name) => [name, recorded[name]!]));
    expect(differences(judged, comparable)).toEqual([]);
    expect(names.length / asked.length).toBeGreaterThan(0.85);
  });
});
