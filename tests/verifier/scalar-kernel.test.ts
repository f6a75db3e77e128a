/**
 * The scalar domain against the kernel's own: programs that build ranges, and every state that the kernel logs of them.
 * Where there is no kernel to ask, against what 6.18 answered (RECORD=1 asks it anew). SCALAR_COUNT, SCALAR_SEED for more.
 */
import { createHash } from "node:crypto";
import { release } from "node:os";
import { describe, expect, test } from "vitest";
import { type OracleAnswer, openOracle, oracleProblem } from "../kernel/oracle.ts";
import { RECORDING, type Recording, readRecording, writeRecording } from "../kernel/recording.ts";
import { Random } from "../random/rng.ts";
import { type ScalarProgram, scalarProgram, type Trace, traceOfLog } from "./scalar-programs.ts";

const RECORDED = new URL("recorded/scalars.json.gz", import.meta.url);
/** Programs with an answer on record; seeds from 1. */
const RECORDED_COUNT = 1000;
const STEPS = 40;
const SOCKET_FILTER = 1;

const count = Number(process.env.SCALAR_COUNT ?? RECORDED_COUNT);
const firstSeed = Number(process.env.SCALAR_SEED ?? 1);
/** Ranges differ between kernels by design: ours are those of 6.18. */
const problem = oracleProblem() ?? (release().startsWith("6.18.") ? null : `Linux ${release()} is not 6.18`);

const makeProgram = (seed: number): ScalarProgram => scalarProgram(new Random(seed), STEPS);

function fingerprint(trace: Trace): string {
  const lines = Object.entries(trace).map(([place, state]) => `${place}: ${state}`);
  return createHash("sha256").update(lines.sort().join("\n")).digest("base64url").slice(0, 12);
}

function kernelTrace(program: ScalarProgram, answer: OracleAnswer): Trace {
  if (!("verdict" in answer) || answer.verdict !== "accepted") return { 0: JSON.stringify(answer) };
  return traceOfLog(program, answer.log ?? "");
}

describe("states of scalars in the kernel's log", () => {
  test.skipIf(problem !== null)(`live${problem === null ? "" : ` (${problem})`}, seeds from ${firstSeed}`, async () => {
    const programs = Array.from({ length: count }, (_, index) => makeProgram(firstSeed + index));
    const oracle = openOracle();
    const answers = await oracle.ask(
      programs.map(({ insns }) => ({ insns, type: SOCKET_FILTER, license: "GPL", logLevel: 2 })),
    );
    await oracle.close();
    const recording: Recording = {};
    answers.forEach((answer, index) => {
      const seed = firstSeed + index;
      const theirs = kernelTrace(programs[index]!, answer);
      expect(programs[index]!.trace, `SCALAR_SEED=${seed} SCALAR_COUNT=1`).toEqual(theirs);
      recording[seed] = fingerprint(theirs);
    });
    if (RECORDING) writeRecording(RECORDED, recording);
  });

  test("recorded", () => {
    const recording = readRecording(RECORDED);
    expect(Object.keys(recording)).toHaveLength(RECORDED_COUNT);
    const wrong = Object.entries(recording).filter(([seed, theirs]) => {
      return fingerprint(makeProgram(Number(seed)).trace) !== theirs;
    });
    expect(wrong.map(([seed]) => seed)).toEqual([]);
  });

  test("the programs reach every kind of place", () => {
    const traces = Array.from({ length: RECORDED_COUNT }, (_, index) => makeProgram(index + 1).trace);
    const places = traces.flatMap((trace) => Object.keys(trace));
    for (const kind of ["taken", "again", "violation"]) {
      expect(places.filter((place) => place.includes(kind)).length, kind).toBeGreaterThan(10);
    }
  });
});
