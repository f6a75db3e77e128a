/**
 * The verdict on random programs against the kernel's: errno, message, number of processed instructions and, where the
 * kernel can be asked, every line of the log. What it answered is recorded for machines where it cannot be.
 * `RECORD=1 npx vitest run tests/verifier` records anew, `VERDICT_COUNT=5000` compares more where the kernel can be asked.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { assembleProgram } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import { type VerifierResult, verify } from "../../compiler/verifier/index.ts";
import { type KernelVerdict, kernelVerdicts } from "./kernel/kernel.ts";
import { randomProgram } from "./programs.ts";

const RECORDED = fileURLToPath(new URL("recorded/verdicts.json.gz", import.meta.url));
const LOADER = fileURLToPath(new URL("kernel/load.c", import.meta.url));
const COUNT = Number(process.env.VERDICT_COUNT ?? 500);
const RECORDED_COUNT = 500;

/** Seeds whose programs take all of the million instructions: seconds each, for the same answer. */
const EXPENSIVE = new Set([383, 476]);
const seeds = Array.from({ length: COUNT }, (_, i) => i + 1).filter((seed) => !EXPENSIVE.has(seed));
const programs = seeds.map((seed) => assembleProgram(randomProgram(seed)).program);
const live = kernelVerdicts(programs, LOADER, 1);

/** `accepted after 31`, `EACCES after 31: R2 !read_ok` */
function summary(errno: string | null, message: string | null, processed: number): string {
  return errno === null ? `accepted after ${processed}` : `${errno} after ${processed}: ${message}`;
}

const processedIn = (log: string): number => Number(/^processed (\d+) insns/m.exec(log)?.[1] ?? Number.NaN);
const kernelSummary = ({ errno, message, log }: KernelVerdict): string => summary(errno, message, processedIn(log));

function ourSummary(result: VerifierResult): string {
  if (result.verdict === "accepted") return summary(null, null, result.processedInsns);
  return summary(result.error.errno, result.error.message, result.processedInsns);
}

/** Without what differs by machine: addresses of maps, times. */
const normalised = (log: string): string =>
  log
    .replace(/(r\d = )0x[0-9a-f]+ */g, "$1ADDRESS ")
    .replace(/^verification time.*\n/gm, "")
    .replace(/^stack depth.*\n/gm, "");

/** The log at level 1 that a refused infinite loop leaves lets the message begin behind an instruction. */
const isFound = ({ message, errno }: KernelVerdict): boolean =>
  errno === null || (message !== null && !message.endsWith(":") && errno !== "ENOSPC");

describe("verdicts on random programs", () => {
  it("programs are the same everywhere", () => {
    expect(randomProgram(7)).toBe(randomProgram(7));
    expect(new Set(programs.map((program) => program.insns.length)).size).toBeGreaterThan(10);
  });

  it("equal those that were recorded", () => {
    if (process.env.RECORD === "1" && live !== null) record(live);
    expect(existsSync(RECORDED)).toBe(true);
    const recorded = JSON.parse(gunzipSync(readFileSync(RECORDED)).toString("utf8")) as (string | null)[];
    const wrong = recorded.flatMap((theirs, i) => {
      const program = programs[i];
      const ours = program && theirs !== null ? ourSummary(verify(program)) : theirs;
      return ours === theirs ? [] : [`seed ${seeds[i]}: ours ${ours}, the kernel's ${theirs}`];
    });
    expect(wrong).toEqual([]);
  });

  describe.skipIf(live === null)("where the kernel can be asked", () => {
    it("equal its own, and so does the log", () => {
      const wrong = programs.flatMap((program, i) => differences(program, live![i]!, seeds[i]!));
      expect(wrong).toEqual([]);
    });
  });
});

function differences(program: Program, theirs: KernelVerdict, seed: number): string[] {
  if (!isFound(theirs)) return [];
  const result = verify(program, { logLevel: 1 });
  if (ourSummary(result) !== kernelSummary(theirs)) {
    return [`seed ${seed}: ours ${ourSummary(result)}, the kernel's ${kernelSummary(theirs)}`];
  }
  const ours = normalised(result.log).split("\n");
  const kernel = normalised(theirs.log).split("\n");
  const line = ours.findIndex((text, i) => text !== kernel[i]);
  return line < 0 ? [] : [`seed ${seed}, log line ${line + 1}: ours ${ours[line]}, the kernel's ${kernel[line]}`];
}

function record(verdicts: readonly KernelVerdict[]): void {
  const summaries = verdicts
    .slice(0, RECORDED_COUNT)
    .map((verdict) => (isFound(verdict) ? kernelSummary(verdict) : null));
  mkdirSync(fileURLToPath(new URL("recorded", import.meta.url)), { recursive: true });
  writeFileSync(RECORDED, gzipSync(JSON.stringify(summaries), { level: 9 }));
}
