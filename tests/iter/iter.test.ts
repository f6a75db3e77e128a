/** Iterators are read as in the kernel: the same text, in the same pieces, with the same errors. */
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { RECORDING } from "../kernel/recording.ts";
import { answersOf } from "./commands.ts";
import { askKernel } from "./kernel.ts";
import { SCENARIOS } from "./scenarios.ts";
import { TARGET } from "./target.ts";

const RECORDED = new URL("recorded/iter.json", import.meta.url);
const recorded = JSON.parse(readFileSync(RECORDED, "utf8")) as Record<string, readonly string[]>;
const hasKernel = askKernel(["cpus"]) !== null;

describe("iterators over maps", () => {
  for (const { name, commands } of SCENARIOS) {
    it(`as recorded: ${name}`, async () => {
      expect(await answersOf(TARGET, commands)).toEqual(recorded[name]);
    });

    it.skipIf(!hasKernel)(`as this kernel: ${name}`, async () => {
      expect(await answersOf(TARGET, commands)).toEqual(askKernel(commands));
    });
  }
});

if (RECORDING && hasKernel) {
  const answers = Object.fromEntries(SCENARIOS.map(({ name, commands }) => [name, askKernel(commands)]));
  writeFileSync(RECORDED, `${JSON.stringify(answers, null, 1)}\n`);
}
