/** Random programs: the kernel and the reference interpreter agree. RANDOM_COUNT and RANDOM_SEED widen the search. */
import { describe, expect, test } from "vitest";
import { oracleProblem } from "../kernel/oracle.ts";
import { fingerprint, RECORDING, type Recording, readRecording, writeRecording } from "../kernel/recording.ts";
import { type Comparison, compareEngines } from "./comparison.ts";
import { compiledEngine } from "./compiled.ts";
import { kernelEngine, type RandomEngine, referenceEngine } from "./engines.ts";
import { generateProgram } from "./generate.ts";

const COUNT = Number(process.env.RANDOM_COUNT ?? 2000);
/** Compiling costs more than running. */
const COMPILED_COUNT = Math.ceil(COUNT / 4);
const SEED = Number(process.env.RANDOM_SEED ?? 1);
const RECORDED = new URL("recorded/random.json.gz", import.meta.url);
const RECORDED_COUNT = 2000;

test("the same seed gives the same program", () => {
  expect(generateProgram(5)).toEqual(generateProgram(5));
  expect(generateProgram(5).insns).not.toEqual(generateProgram(6).insns);
});

test("every form of instruction runs, and most programs have loops, calls, atomics or computed addresses", async () => {
  const { coverage } = await compareEngines({
    seed: 1,
    count: 3000,
    judge: referenceEngine(),
    engine: referenceEngine(),
  });
  expect(coverage.unlisted()).toEqual([]);
  expect(coverage.rare()).toEqual([]);
  expect(coverage.share("any of these")).toBeGreaterThan(0.3);
  for (const trait of ["loops", "calls", "atomics", "misaligned atomics"])
    expect(coverage.share(trait), trait).toBeGreaterThan(0.03);
});

describe("kernel and reference interpreter agree", () => {
  test(`on the ${RECORDED_COUNT} programs that were recorded`, async () => {
    const { differences } = await compareEngines({
      seed: 1,
      count: RECORDED_COUNT,
      judge: recorded(readRecording(RECORDED)),
      engine: fingerprints(referenceEngine()),
    });
    expect(differences).toEqual([]);
  });

  const problem = oracleProblem();
  test.skipIf(problem !== null)(
    `on ${COUNT} programs now${problem === null ? "" : ` (${problem})`}`,
    async () => {
      await using kernel = kernelEngine();
      if (RECORDING) await record(kernel);
      const result = await compareEngines({ seed: SEED, count: COUNT, judge: kernel, engine: referenceEngine() });
      expect(summary(result)).toEqual({ differences: [], refused: [] });
    },
    600_000,
  );
});

test("compiled code and reference interpreter agree", async () => {
  await using compiled = compiledEngine();
  const result = await compareEngines({
    seed: SEED,
    count: COMPILED_COUNT,
    judge: referenceEngine(),
    engine: compiled,
  });
  expect(summary(result)).toEqual({ differences: [], refused: [] });
}, 600_000);

const summary = ({ differences, refused }: Comparison) => ({ differences, refused });

async function record(kernel: RandomEngine): Promise<void> {
  const programs = Array.from({ length: RECORDED_COUNT }, (_, index) => generateProgram(1 + index));
  const outcomes = await fingerprints(kernel).run(programs);
  const recording: Recording = {};
  programs.forEach(({ seed }, index) => {
    const outcome = outcomes[index]!;
    recording[seed] = "problem" in outcome ? outcome.problem : outcome.memory;
  });
  writeRecording(RECORDED, recording);
}

/** Gives the fingerprint in place of the memory. */
function fingerprints(engine: RandomEngine): RandomEngine {
  return {
    ...engine,
    name: `${engine.name}, fingerprints`,
    run: async (programs) =>
      (await engine.run(programs)).map((outcome) =>
        "problem" in outcome ? outcome : { r0: 0n, memory: fingerprint(outcome.r0, outcome.memory) },
      ),
  };
}

function recorded(recording: Recording): RandomEngine {
  return {
    name: "recorded",
    run: async (programs) => programs.map(({ seed }) => ({ r0: 0n, memory: recording[seed] ?? "not recorded" })),
    [Symbol.asyncDispose]: async () => {},
  };
}
