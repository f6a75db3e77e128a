/** Runs every .bpf file below this folder. `UPDATE=1` rewrites expectations that do not hold. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "vitest";
import { readCases, type TestCase } from "./runner/case.ts";
import { checkCase, type Edit, rewrite } from "./runner/check.ts";
import { bpfFiles } from "./runner/files.ts";
import { ENGINES, MISSING } from "./runner/live.ts";

describe.each(bpfFiles())("$path", ({ path, url }) => {
  const text = readFileSync(url, "utf8");
  const edits: Edit[] = [];
  const cases = readCases(text, path);
  for (const one of cases)
    test(one.name, async (context) => {
      const reason = missingPart(one);
      if (reason !== null) return context.skip(`no ${reason} yet`);
      const outcome = await checkCase(ENGINES, one);
      edits.push(...outcome.edits);
      if (process.env.UPDATE === "1" && outcome.edits.length > 0) writeFileSync(url, rewrite(text, edits));
      const report = outcome.failures.map(({ line, message }) => `${path}:${line}: ${message}`);
      if (report.length > 0) throw new Error(`\n${report.join("\n")}`);
    });
});

/** The part of bpfjit that a case needs and that is not there; null: it can run. */
function missingPart(one: TestCase): string | null {
  const expects = (kind: string) => one.directives.some(({ expectation }) => expectation.kind === kind);
  const onlyUnchecked = one.directives.every(
    ({ expectation }) => expectation.kind === "run" && expectation.input.unchecked,
  );
  if (!onlyUnchecked && MISSING.has("verifier")) return "verifier";
  if (expects("wat") && MISSING.has("lowering")) return "lowering";
  return null;
}
