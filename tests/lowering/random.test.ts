/** Random programs: compiled code and the reference interpreter agree, verified and unchecked. RANDOM_COUNT widens the search. */
import { describe, expect, test } from "vitest";
import { toHex } from "../../base/index.ts";
import { rawProgram } from "../../compiler/asm/index.ts";
import { type LowerableProgram, lowerObject, type OptimizeLevel } from "../../compiler/lowering/index.ts";
import type { Program, UncheckedProgram } from "../../compiler/program.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { generateProgram, type RandomProgram } from "../random/generate.ts";
import { interpret } from "../reference/interpret.ts";
import { DATA, Machine } from "./machine.ts";

const COUNT = Number(process.env.RANDOM_COUNT ?? 300);
const SEED = Number(process.env.RANDOM_SEED ?? 10_001);
/** Programs of one module. */
const BATCH = 100;

interface Outcome {
  readonly r0: string;
  readonly memory: string;
}

function named({ seed, insns, memory }: RandomProgram): Program {
  return { ...rawProgram(insns, memory.length), name: `random${seed}` };
}

function expected({ insns, memory }: RandomProgram): Outcome {
  const outcome = interpret(insns, memory);
  return { r0: outcome.r0.toString(16), memory: toHex(outcome.memory) };
}

async function outcomes(
  programs: readonly { readonly random: RandomProgram; readonly program: LowerableProgram }[],
  optimize: OptimizeLevel,
): Promise<Outcome[]> {
  const input = {
    name: "random",
    license: "GPL",
    maps: [],
    types: {},
    programs: programs.map(({ program }) => program),
  };
  const { wasm } = await lowerObject(input, { optimize, validate: true });
  const machine = new Machine();
  const exports = machine.instantiate(wasm);
  return programs.map(({ random, program }) => {
    const at = DATA + random.misalign;
    machine.bytes.set(random.memory, at);
    const r0 = machine.run(exports, program.name, at).toString(16);
    return { r0, memory: toHex(machine.bytes.slice(at, at + random.memory.length)) };
  });
}

const randoms = Array.from({ length: COUNT }, (_, index) => generateProgram(SEED + index));
const batches = Array.from({ length: Math.ceil(COUNT / BATCH) }, (_, index) =>
  randoms.slice(index * BATCH, (index + 1) * BATCH),
);

describe.each([0, 1, 2] as const)("level %i", (level) => {
  test("unchecked programs", async () => {
    for (const batch of batches) {
      const programs = batch.map((random) => {
        const program: UncheckedProgram = { ...named(random), type: "raw", unchecked: true };
        return { random, program };
      });
      const found = await outcomes(programs, level);
      batch.forEach((random, index) => {
        expect({ seed: random.seed, ...found[index] }).toEqual({ seed: random.seed, ...expected(random) });
      });
    }
  });

  test("verified programs", async () => {
    for (const batch of batches) {
      const accepted = batch.flatMap((random) => {
        const result = verify(named(random));
        return result.verdict === "accepted" ? [{ random, program: result.program }] : [];
      });
      // Programs that misalign atomics are generated for unchecked runs; the verifier refuses some of them.
      expect(accepted.length).toBeGreaterThan(batch.length / 2);
      const found = await outcomes(accepted, level);
      accepted.forEach(({ random }, index) => {
        expect({ seed: random.seed, ...found[index] }).toEqual({ seed: random.seed, ...expected(random) });
      });
    }
  });
});
