/** Random programs that call functions of the kernel, ours against the kernel's verdict. VERDICT_COUNT and VERDICT_SEED for more. */
import { cpus } from "node:os";
import { describe, expect, test } from "vitest";
import { assembleProgram } from "../../compiler/asm/index.ts";
import type { Btf } from "../../compiler/object/btf/btf.ts";
import { hasOwnIds, targetBtf } from "../filetests/runner/target.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { askKernel, compare, judge } from "./compare.ts";
import { kernelProgram } from "./kernel-functions.ts";

const problem = oracleProblem() ?? (hasOwnIds() ? null : "the kernel is not the one that types were recorded of");
const COUNT = Number(process.env.VERDICT_COUNT ?? 150);
const FIRST_SEED = Number(process.env.VERDICT_SEED ?? 1);

describe("verdicts on random programs with kernel functions", () => {
  test.skipIf(problem !== null)(`live${problem === null ? "" : ` (${problem})`}`, { timeout: 600_000 }, () => {
    const btf = targetBtf();
    const programs = Array.from({ length: COUNT }, (_, index) => kernelProgram(FIRST_SEED + index, btf));
    const kernel = askKernel(programs.map(({ program }) => program))!;
    const outcomes = programs.map(({ seed, program }, index) => {
      const { outcome, ours, kernel: theirs } = compare(judge(program, cpus().length), kernel[index]!);
      const isFine = outcome === "same" || outcome === "processed" || outcome === "kernel bug";
      return isFine ? null : `${seed} ${outcome}: ${ours.message ?? ours.bug}, not ${theirs.message}`;
    });
    expect(outcomes.filter((outcome) => outcome !== null)).toEqual([]);
    expect(kernel.filter(({ errno }) => errno === null).length).toBeGreaterThan(COUNT / 10);
  });
});

describe("every function that the kernel marks for programs", () => {
  test.skipIf(problem !== null)(`is judged${problem === null ? "" : ` (${problem})`}`, { timeout: 600_000 }, () => {
    const kernelBtf = targetBtf();
    const programs = marked(kernelBtf).flatMap((id) =>
      ["sched_cls", "xdp", "tracepoint"].map((type) => {
        const text = `; prog: ${type} license=GPL\n  r1 = 1\n  call kfunc[${id}]\n  r0 = 0\n  exit`;
        return { ...assembleProgram(text, { targetBtf: kernelBtf }).program, targetBtf: kernelBtf };
      }),
    );
    expect(programs.length).toBeGreaterThan(300);
    const kernel = askKernel(programs)!;
    const outcomes = programs.map((program, index) => compare(judge(program, cpus().length), kernel[index]!));
    expect(outcomes.filter(({ outcome }) => outcome !== "same")).toEqual([]);
  });
});

/** Ids of the functions with the tag `bpf_kfunc`. */
const marked = (btf: Btf): number[] =>
  [...btf.idsOf("decl_tag")].flatMap((id) => {
    const tag = btf.typeById(id);
    return tag.kind === "decl_tag" && tag.name === "bpf_kfunc" ? [tag.type] : [];
  });
