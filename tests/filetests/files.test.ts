/** Runs every .bpf file below this folder. `UPDATE=1` rewrites expectations that do not hold. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { RECORDING } from "../kernel/recording.ts";
import { readCases } from "./runner/case.ts";
import { checkCase, type Edit, rewrite } from "./runner/check.ts";
import { bpfFiles } from "./runner/files.ts";
import { ENGINES } from "./runner/live.ts";
import { recordTypes, unrecordedTypes } from "./runner/target.ts";

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

/** Last: what the cases above looked at. */
test("the kernel types that file tests look at are recorded (RECORD=1, UPDATE=1)", () => {
  if (RECORDING || process.env.UPDATE === "1") recordTypes();
  expect(unrecordedTypes()).toEqual([]);
});
