/**
 * Every rejection is explained without stumbling: those of the file tests, and of the same programs with random changes. Few
 * are left to the general explanation.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { explanationText } from "../../api/index.ts";
import type { Explanation } from "../../base/index.ts";
import type { Insn } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { readCases } from "../filetests/runner/case.ts";
import { Random } from "../random/rng.ts";

const FOLDER = fileURLToPath(new URL("../filetests/verifier/", import.meta.url));
const programs: readonly Program[] = readdirSync(FOLDER)
  .filter((file) => file.endsWith(".bpf"))
  .flatMap((file) => readCases(readFileSync(FOLDER + file, "utf8"), file).map(({ program }) => program));
const ROUNDS = Number(process.env.EXPLAIN_ROUNDS ?? 500);
/** A program that takes longer to verify would take longer still to explain. */
const MOST_PROCESSED = 20_000;

/** Null where it is not rejected. */
function explain(program: Program): Explanation | null {
  const result = verify(program);
  return result.verdict === "rejected" && result.processedInsns < MOST_PROCESSED ? result.error.explanation : null;
}

function check(explanation: Explanation): void {
  const { chain, place, headline, message } = explanation;
  expect(chain.at(-1)).toMatchObject({ role: "fault", place });
  expect(headline, message).not.toMatch(/undefined|NaN|\[object/);
  const text = explanationText(explanation);
  expect(text).toContain(explanation.docs);
  expect(text).not.toMatch(/undefined|NaN|\[object/);
}

describe("rejections", () => {
  it("of the file tests are explained, nearly all of them by a rule of their own", { timeout: 300_000 }, () => {
    const explanations = programs.map(explain).filter((explanation) => explanation !== null);
    for (const explanation of explanations) check(explanation);
    expect(explanations.length).toBeGreaterThan(500);
    const others = explanations.filter(({ kind }) => kind === "other").map(({ message }) => message);
    expect(others.length / explanations.length, others.join("\n")).toBeLessThan(0.05);
  });

  it(`of ${ROUNDS} changed programs are explained`, { timeout: 600_000 }, () => {
    const random = new Random(7);
    for (let round = 0; round < ROUNDS; round++) {
      const program = random.pick(programs);
      const insns: Insn[] = [...program.insns];
      for (let change = random.between(1, 3); change > 0; change--) {
        const at = random.below(insns.length);
        insns[at] = changed(random, insns[at]!, random.pick(insns));
      }
      const explanation = explain({ ...program, insns });
      if (explanation !== null) check(explanation);
    }
  });
});

function changed(random: Random, insn: Insn, other: Insn): Insn {
  switch (random.below(6)) {
    case 0:
      return { ...insn, dst: random.below(11) };
    case 1:
      return { ...insn, src: random.below(11) };
    case 2:
      return { ...insn, off: random.between(-20, 20) };
    case 3:
      return { ...insn, imm: random.between(-100, 500) };
    case 4:
      return { ...insn, opcode: other.opcode };
    default:
      return other;
  }
}
