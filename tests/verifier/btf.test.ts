/**
 * Walks through kernel types (btf-programs.ts): verdict, errno and message, ours against the kernel's. Live only: the types are
 * the running kernel's own. BTF_COUNT and BTF_SEED for more.
 */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { Program } from "../../compiler/index.ts";
import { Btf } from "../../compiler/object/btf/btf.ts";
import { verify } from "../../compiler/verifier/index.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { Random } from "../random/rng.ts";
import { argumentPrograms, callProgram, tracepointIds, walkProgram } from "./btf-programs.ts";
import { kernelVerdicts } from "./kernel/kernel.ts";

const VMLINUX = "/sys/kernel/btf/vmlinux";
const LOADER = fileURLToPath(new URL("kernel/load.c", import.meta.url));
const count = Number(process.env.BTF_COUNT ?? 3000);
const firstSeed = Number(process.env.BTF_SEED ?? 1);
const problem =
  oracleProblem() ??
  (existsSync(VMLINUX) ? null : `no ${VMLINUX}`) ??
  (release().startsWith("6.18.") ? null : `Linux ${release()} is not 6.18`);

const answer = (errno: string | null | undefined, message: string | null): string =>
  errno ? `${errno}: ${message}` : "accepted";

function ours(program: Program): string {
  const result = verify(program);
  if (result.verdict === "accepted") return answer(null, null);
  return answer(result.verdict === "rejected" ? result.error.errno : "unsupported", result.error.message);
}

/** What differs, and how many programs the kernel took. */
function compare(programs: readonly Program[]): { differences: string[]; accepted: number } {
  const verdicts = kernelVerdicts(programs, LOADER)!;
  const theirs = verdicts.map(({ errno, message }) => answer(errno, message));
  const differences = programs.flatMap((program, index) => {
    const mine = ours(program);
    return mine === theirs[index] ? [] : [`${program.attachBtf!.name} #${index}: ${mine}, not ${theirs[index]}`];
  });
  return { differences, accepted: theirs.filter((one) => one === "accepted").length };
}

describe.skipIf(problem !== null)(`kernel types, live${problem === null ? "" : ` (${problem})`}`, () => {
  const btf = problem === null ? new Btf(readFileSync(VMLINUX)) : null!;
  const ids = problem === null ? tracepointIds(btf) : [];

  test("every argument of every raw tracepoint", { timeout: 120_000 }, () => {
    const { differences, accepted } = compare(ids.flatMap((id) => argumentPrograms(btf, id)));
    expect(differences).toEqual([]);
    expect(accepted).toBeGreaterThan(500);
  });

  test(`walks along types, seeds from ${firstSeed}`, { timeout: 120_000 }, () => {
    const programs = Array.from({ length: count }, (_, index) => walkProgram(btf, ids, new Random(firstSeed + index)));
    const { differences, accepted } = compare(programs);
    expect(differences).toEqual([]);
    expect(accepted / count).toBeGreaterThan(0.1);
  });

  test(`helpers with what walks find, seeds from ${firstSeed}`, { timeout: 120_000 }, () => {
    const programs = Array.from({ length: count }, (_, index) => callProgram(btf, ids, new Random(firstSeed + index)));
    const { differences, accepted } = compare(programs);
    expect(differences).toEqual([]);
    expect(accepted / count).toBeGreaterThan(0.05);
  });
});
