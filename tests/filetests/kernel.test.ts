/**
 * Every file test that the kernel can answer, asked of the kernel: expectations are facts, not habits. Live only.
 * Where we refuse a program, the words are the kernel's too, but for a few.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { verify } from "../../compiler/verifier/index.ts";
import { type Oracle, openOracle, oracleProblem } from "../kernel/oracle.ts";
import { readCases, type TestCase } from "./runner/case.ts";
import { checkCase } from "./runner/check.ts";
import type { Engines } from "./runner/engines.ts";
import { bpfFiles } from "./runner/files.ts";
import { askVerdicts, kernelCannot, kernelCase, kernelEngines } from "./runner/kernel.ts";

const problem = oracleProblem();
const reasonNotTo = (one: TestCase): string | null => one.kernelDiffers ?? kernelCannot(one);

describe.skipIf(problem !== null)(`file tests on the kernel${problem === null ? "" : ` (${problem})`}`, () => {
  const files = bpfFiles().map(([path, url]) => ({ path, cases: readCases(readFileSync(url, "utf8"), path) }));
  const asked = files.flatMap(({ cases }) => cases.filter((one) => reasonNotTo(one) === null));
  let oracle: Oracle;
  let engines: Engines;
  let verdicts: ReturnType<typeof askVerdicts>;
  beforeAll(() => {
    oracle = openOracle();
    verdicts = askVerdicts(asked);
    engines = kernelEngines(oracle, verdicts);
  });
  afterAll(() => oracle?.close());

  describe.each(files)("$path", ({ path, cases }) => {
    for (const one of cases) {
      const reason = reasonNotTo(one);
      test.skipIf(reason !== null)(`${one.name}${reason === null ? "" : ` (${reason})`}`, async () => {
        const { failures } = await checkCase(engines, kernelCase(one));
        const report = failures.map(({ line, message }) => `${path}:${line}: ${message}`);
        if (report.length > 0) throw new Error(`\n${report.join("\n")}`);
      });
    }
  });

  test("final messages are the kernel's", () => {
    const refused = [...verdicts].filter(([, { errno, message }]) => errno !== null && message !== null);
    const different = refused.flatMap(([program, { message }]) => {
      const ours = verify(program);
      return ours.verdict === "rejected" && ours.error.message !== message
        ? [`${ours.error.message}, not ${message}`]
        : [];
    });
    expect(refused.length).toBeGreaterThan(0);
    expect(different.length / refused.length, different.join("\n")).toBeLessThan(0.1);
  });
});
