/** Runs every .bpf file below this folder. `UPDATE=1` rewrites expectations that do not hold. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "vitest";
import { readCases } from "./runner/case.ts";
import { checkCase, type Edit, rewrite } from "./runner/check.ts";
import { bpfFiles } from "./runner/files.ts";
import { ENGINES } from "./runner/live.ts";

describe.each(bpfFiles())("%s", (path, url) => {
  const text = readFileSync(url, "utf8");
  const edits: Edit[] = [];
  const cases = readCases(text, path);
  for (const one of cases)
    test(one.name, async () => {
      const outcome = await checkCase(ENGINES, one);
      edits.push(...outcome.edits);
      if (process.env.UPDATE === "1" && outcome.edits.length > 0) writeFileSync(url, rewrite(text, edits));
      const report = outcome.failures.map(({ line, message }) => `${path}:${line}: ${message}`);
      if (report.length > 0) throw new Error(`\n${report.join("\n")}`);
    });
});
