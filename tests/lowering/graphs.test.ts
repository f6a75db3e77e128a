/** Control flow of any shape: random graphs, most of them irreducible, and shapes that nest deep or are large. */
import { describe, expect, test } from "vitest";
import { type Insn, parseAssembly, rawProgram } from "../../compiler/asm/index.ts";
import { lowerObject, type OptimizeLevel } from "../../compiler/lowering/index.ts";
import type { UncheckedProgram } from "../../compiler/program.ts";
import { Random } from "../random/rng.ts";
import { interpret } from "../reference/interpret.ts";
import { Machine } from "./machine.ts";
import { SHAPES } from "./shapes.ts";

const COUNT = Number(process.env.RANDOM_COUNT ?? 150);

const unchecked = (name: string, insns: readonly Insn[]): UncheckedProgram => ({
  ...rawProgram(insns, 0),
  name,
  type: "raw",
  unchecked: true,
});

async function run(programs: readonly UncheckedProgram[], optimize: OptimizeLevel): Promise<bigint[]> {
  const { wasm } = await lowerObject({ name: "graphs", license: "GPL", maps: [], types: {}, programs }, { optimize });
  const machine = new Machine();
  const exports = machine.instantiate(wasm);
  return programs.map((program) => machine.run(exports, program.name));
}

/** Every block folds its number into r0, spends one of r6 and jumps by a bit of r0 to blocks anywhere. */
function randomGraph(random: Random, blocks: number): Insn[] {
  const lines = ["r0 = 1", `r6 = ${random.between(5, 60 + blocks)}`];
  for (let block = 0; block < blocks; block++) {
    const target = () => `b${random.below(blocks)}`;
    lines.push(`b${block}:`, "r0 *= 31", `r0 += ${block}`, "r6 -= 1", "if r6 s< 1 goto done");
    lines.push("r1 = r0", `r1 >>= ${random.below(20)}`, "r1 &= 1");
    if (random.oneIn(4)) lines.push(`goto ${target()}`);
    else if (random.oneIn(2)) lines.push(`if r1 == 0 goto ${target()}`);
    else lines.push(`if r1 == 0 goto ${target()}`, `goto ${target()}`);
  }
  lines.push("done:", "exit");
  return [...parseAssembly(lines.join("\n")).insns];
}

describe.each([0, 2] as const)("random graphs at level %i", (level) => {
  test.each([3, 6, 12, 40, 300])("of %i blocks", async (blocks) => {
    const graphs = Array.from({ length: Math.ceil(COUNT / (1 + blocks / 20)) }, (_, index) =>
      randomGraph(new Random(1000 * blocks + index), blocks),
    );
    const found = await run(
      graphs.map((insns, index) => unchecked(`graph${index}`, insns)),
      level,
    );
    const expected = graphs.map((insns) => interpret(insns, new Uint8Array(0)).r0);
    expect(found).toEqual(expected);
  });
});

describe("shapes", () => {
  const sizes = (process.env.SHAPE_INSNS ?? "780,2000").split(",").map(Number);
  const levels = (process.env.SHAPE_LEVELS ?? "0,2").split(",").map(Number) as OptimizeLevel[];
  for (const size of sizes)
    for (const level of levels)
      test.each(Object.entries(SHAPES))(`%s: ${size} instructions at level ${level}`, async (_name, make) => {
        const insns = parseAssembly(make(size).join("\n")).insns;
        const [found] = await run([unchecked("shape", insns)], level);
        expect(found).toBe(interpret(insns, new Uint8Array(0), { budget: 100_000_000 }).r0);
      });
});
