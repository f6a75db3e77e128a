/** Every file test that the kernel can answer, asked of the kernel: expectations are facts, not habits. Live only. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, test } from "vitest";
import { type Oracle, openOracle, oracleProblem } from "../kernel/oracle.ts";
import { readCases } from "./runner/case.ts";
import { checkCase } from "./runner/check.ts";
import { bpfFiles } from "./runner/files.ts";
import { kernelCannot, kernelCase, kernelEngines } from "./runner/kernel.ts";

const problem = oracleProblem();

describe.skipIf(problem !== null)(`file tests on the kernel${problem === null ? "" : ` (${problem})`}`, () => {
  let oracle: Oracle;
  beforeAll(() => {
    oracle = openOracle();
  });
  afterAll(() => oracle?.close());

  describe.each(bpfFiles())("%s", (path, url) => {
    for (const one of readCases(readFileSync(url, "utf8"), path)) {
      const reason = one.kernelDiffers ?? kernelCannot(one);
      test.skipIf(reason !== null)(`${one.name}${reason === null ? "" : ` (${reason})`}`, async () => {
        const { failures } = await checkCase(kernelEngines(oracle), kernelCase(one));
        const report = failures.map(({ line, message }) => `${path}:${line}: ${message}`);
        if (report.length > 0) throw new Error(`\n${report.join("\n")}`);
      });
    }
  });
});
