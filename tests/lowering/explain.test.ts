/** What `inspect --cfg` and `--wat` show: the graph's blocks and edges, and the program's own functions as Wasm text. */
import { describe, expect, test } from "vitest";
import { parseAssembly, rawProgram } from "../../compiler/asm/index.ts";
import { explainLowering } from "../../compiler/lowering/index.ts";
import type { UncheckedProgram } from "../../compiler/program.ts";

const LOOP = `
  r0 = 0
  r1 = 3
again:
  r0 += r1
  r1 -= 1
  if r1 != 0 goto again
  exit
`;

function program(): UncheckedProgram {
  const { insns } = parseAssembly(LOOP);
  return { ...rawProgram(insns, 0), name: "sum", type: "raw", unchecked: true };
}

describe("explainLowering", () => {
  test("shows blocks, edges and loop headers", async () => {
    const { cfg, dot } = await explainLowering(program());
    expect(cfg).toMatch(/block 1 \(insns 2\.\.\d, loop header/);
    expect(cfg).toContain("r0 += r1");
    expect(dot).toMatch(/^digraph cfg \{/);
    expect(dot).toMatch(/g0b\d -> g0b1/);
  });

  test.each([0, 2] as const)("shows the program's function as Wasm text, optimised %d", async (optimize) => {
    const { wat } = await explainLowering(program(), { optimize });
    expect(wat).toMatch(/^ \(func \$main:sum /);
    expect(wat).toContain("(loop ");
    expect(wat.trimEnd()).toMatch(/\)$/);
    expect(wat.match(/\(func /g)).toHaveLength(1);
  });
});
