/**
 * Random programs on dynptrs (dynptr-programs.ts): verdict, errno, message and how many instructions were processed, ours
 * against the kernel's. Live only: kernel functions are called by their number in the running kernel's BTF. DYNPTR_COUNT and
 * DYNPTR_SEED for more.
 */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { Btf } from "../../compiler/object/btf/btf.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { Random } from "../random/rng.ts";
import { dynptrProgram } from "./dynptr-programs.ts";
import { kernelVerdicts } from "./kernel/kernel.ts";

const VMLINUX = "/sys/kernel/btf/vmlinux";
const LOADER = fileURLToPath(new URL("kernel/load.c", import.meta.url));
const count = Number(process.env.DYNPTR_COUNT ?? 200);
const firstSeed = Number(process.env.DYNPTR_SEED ?? 1);
const problem =
  oracleProblem() ??
  (existsSync(VMLINUX) ? null : `no ${VMLINUX}`) ??
  (release().startsWith("6.18.") ? null : `Linux ${release()} is not 6.18`);

const answer = (errno: string | null, message: string | null, log: string): string =>
  `${errno === null ? "accepted" : `${errno}: ${message}`}, ${/processed \d+ insns/.exec(log)?.[0]}`;

describe.skipIf(problem !== null)(`dynptrs, live${problem === null ? "" : ` (${problem})`}`, () => {
  test(`random programs, seeds from ${firstSeed}`, { timeout: 120_000 }, () => {
    const btf = new Btf(readFileSync(VMLINUX));
    const programs = Array.from({ length: count }, (_, index) => dynptrProgram(btf, new Random(firstSeed + index)));
    const verdicts = kernelVerdicts(programs, LOADER)!;
    const differences = programs.flatMap((program, index) => {
      const { errno, message, log } = verdicts[index]!;
      const theirs = answer(errno, message, log);
      const result = verify(program, { logLevel: 1 });
      const mine =
        result.verdict === "accepted"
          ? answer(null, null, result.log)
          : answer(result.error.errno, result.error.message, result.log);
      return mine === theirs ? [] : [`seed ${firstSeed + index}: ${mine}, not ${theirs}`];
    });
    expect(differences).toEqual([]);
    expect(verdicts.filter(({ errno }) => errno === null).length / count).toBeGreaterThan(0.4);
  });
});
