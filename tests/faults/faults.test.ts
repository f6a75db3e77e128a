/**
 * The programs of this folder: each rejected one is rejected for its kind of fault, its repair is accepted, the kernel agrees
 * on both, and docs/faults.md shows what the command says.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { explanationText, type ProgramVerdict, verifyObject } from "../../api/index.ts";
import { type Program, readObject } from "../../compiler/index.ts";
import { FAULT_KINDS, FAULTS } from "../../spec/index.ts";
import { faultsPage } from "../../tools/faults.ts";
import { kernelVerdicts } from "../verifier/kernel/kernel.ts";

const FOLDER = fileURLToPath(new URL("./", import.meta.url));
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const LOADER = fileURLToPath(new URL("../verifier/kernel/load.c", import.meta.url));
const objects = readdirSync(FOLDER).filter((file) => file.endsWith(".bpf.o"));
const kinds = FAULT_KINDS.filter((kind) => objects.includes(`${kind}.rejected.bpf.o`));

/** Verified once: one of them takes the verifier's million instructions. */
const verdicts = new Map<string, ProgramVerdict[]>();
async function verdictsOf(file: string): Promise<ProgramVerdict[]> {
  const known = verdicts.get(file) ?? (await verifyObject(readFileSync(FOLDER + file), { name: file }));
  verdicts.set(file, known);
  return known;
}

describe("kinds of faults", () => {
  it("each has a rejected program and its repair, or neither, and no other program is here", () => {
    expect(objects.sort()).toEqual(
      kinds.flatMap((kind) => [`${kind}.rejected.bpf.o`, `${kind}.repaired.bpf.o`]).sort(),
    );
    expect(kinds.length).toBeGreaterThanOrEqual(24);
  });

  it("each says what is wrong and what to do", () => {
    for (const kind of FAULT_KINDS) {
      expect(FAULTS[kind].remedies.length, kind).toBeGreaterThan(0);
      expect(FAULTS[kind].meaning, kind).toMatch(/^[A-Zb`].*\.$/);
    }
  });

  it("docs/faults.md is what the table, the programs and the command say", { timeout: 120_000 }, () => {
    expect(readFileSync(join(ROOT, "docs/faults.md"), "utf8")).toBe(faultsPage(ROOT));
  });
});

describe.each(kinds)("%s", (kind) => {
  it("is why its program is rejected", { timeout: 120_000 }, async () => {
    const [verdict, ...others] = await verdictsOf(`${kind}.rejected.bpf.o`);
    expect(others).toEqual([]);
    expect(verdict!.verdict).toBe("rejected");
    const explanation = verdict!.explanation!;
    expect(explanation.kind).toBe(kind);
    expect(explanation.docs).toBe(`docs/faults.md#${kind}`);
    expect(explanation.chain.at(-1)!.role).toBe("fault");
    expect(explanation.chain.at(-1)!.place).toEqual(explanation.place);
    expect(explanation.chain.every(({ place }) => place.source !== null)).toBe(true);
    expect({ errno: explanation.errno, message: explanation.message }).toEqual({
      errno: verdict!.errno,
      message: verdict!.message,
    });
    for (const line of explanationText(explanation, { width: 80 }).split("\n")) {
      // Lines of code and places are as long as they are, everything else is wrapped.
      expect(line.length <= 80 || /^ *\d+ \||\^|-->/.test(line), line).toBe(true);
    }
  });

  it("is gone in the repaired program", async () => {
    expect(await verdictsOf(`${kind}.repaired.bpf.o`)).toMatchObject([{ verdict: "accepted", explanation: null }]);
  });
});

const programOf = (file: string): Program => {
  const [outcome] = readObject(readFileSync(FOLDER + file), { purpose: "judge" }).programs;
  if (!outcome!.ok) throw outcome!.error;
  return outcome!.program;
};
// libbpf adapts an object's BTF before the kernel sees it; no rule at hand needs it.
const live = kernelVerdicts(
  objects.map((file) => ({ ...programOf(file), btf: null })),
  LOADER,
);

describe.skipIf(live === null)("the kernel", () => {
  it.each(objects.map((file, i) => [file, live?.[i]] as const))("agrees on %s", async (file, kernel) => {
    const [verdict] = await verdictsOf(file);
    expect(kernel!.errno).toBe(verdict!.errno);
    // Its log of two levels has the line about the loop behind an instruction.
    if (verdict!.errno !== null && !file.startsWith("infinite-loop")) expect(kernel!.message).toBe(verdict!.message);
  });
});

const hasClang = spawnSync("sh", ["-c", "command -v clang-19 && command -v llvm-strip-19"]).status === 0;

describe.skipIf(!hasClang)("the objects", () => {
  it("rebuild to the same bytes", { timeout: 60_000 }, () => {
    const folder = mkdtempSync(join(tmpdir(), "bpfjit-"));
    try {
      execFileSync("sh", [`${FOLDER}build.sh`, folder]);
      expect(readdirSync(folder).sort()).toEqual(objects.sort());
      for (const file of objects)
        expect(readFileSync(join(folder, file)).equals(readFileSync(FOLDER + file)), file).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
