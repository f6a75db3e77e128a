/**
 * Compares our verdicts with the running kernel's on random programs and says where they differ.
 *
 *     node dist/tests/verdict/command.js --count 5000 --seed 1             one in five is a changed file test
 *     node dist/tests/verdict/command.js --show 4711          the program of a seed and both verdicts
 *     node dist/tests/verdict/command.js --minimise 4711      the same, cut down to what differs
 *
 * Exit status 1 where we accept what the kernel refuses, or fail.
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { printProgram } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/program.ts";
import { targetBtf } from "../filetests/runner/target.ts";
import { changedProgram } from "./changed.ts";
import { askKernel, type Comparison, compare, judge, OUTCOMES, type Outcome } from "./compare.ts";
import { Coverage, Watch } from "./coverage.ts";
import { FORMS, randomProgram } from "./generate.ts";
import { minimise } from "./minimise.ts";

const BATCH = 250;
/** Examples of each kind of difference that are printed. */
const EXAMPLES = 12;

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "1000" },
    seed: { type: "string", default: "1" },
    show: { type: "string" },
    minimise: { type: "string" },
  },
});

/** One program in so many is a file test with changes. */
const CHANGED = 5;

interface SeededProgram {
  readonly seed: number;
  readonly program: Program;
  readonly forms: readonly string[];
}
function programOf(seed: number): SeededProgram {
  const found = seed % CHANGED === 0 ? { ...changedProgram(seed), forms: [] } : randomProgram(seed);
  // A changed opcode may call a function of the kernel or name a type.
  return { ...found, program: { targetBtf: targetBtf(), ...found.program } };
}

if (values.show !== undefined) show(programOf(Number(values.show)).program);
else if (values.minimise !== undefined) show(minimised(programOf(Number(values.minimise)).program));
else compareMany(Number(values.seed), Number(values.count));

function compareAll(programs: readonly Program[], coverage = new Coverage()): Comparison[] {
  const kernel = askKernel(programs);
  if (kernel === null) throw new Error("no kernel to ask: bpf() needs root, and a C compiler");
  return programs.map((program, index) => {
    const theirs = kernel[index]!;
    const watch = new Watch();
    const ours = judge(program, cpus().length, watch);
    coverage.add(watch, theirs.errno === null);
    return compare(ours, theirs);
  });
}

function compareMany(firstSeed: number, count: number): void {
  const found = new Map<Outcome, string[]>(OUTCOMES.map((outcome) => [outcome, []]));
  const accepted = new Map<string, number>(FORMS.map((form) => [form, 0]));
  const coverage = new Coverage();
  let acceptedCount = 0;
  for (let done = 0; done < count; done += BATCH) {
    const size = Math.min(BATCH, count - done);
    const programs = Array.from({ length: size }, (_, index) => programOf(firstSeed + done + index));
    compareAll(
      programs.map(({ program }) => program),
      coverage,
    ).forEach((comparison, index) => {
      const { seed, forms } = programs[index]!;
      found.get(comparison.outcome)!.push(`seed ${seed}: ${differenceText(comparison)}`);
      if (comparison.kernel.errno !== null) return;
      acceptedCount++;
      for (const form of new Set(forms)) accepted.set(form, accepted.get(form)! + 1);
    });
  }
  for (const [outcome, examples] of found) {
    console.log(`${outcome}: ${examples.length}`);
    if (outcome !== "same") for (const example of examples.slice(0, EXAMPLES)) console.log(`  ${example}`);
  }
  console.log(`accepted by the kernel: ${acceptedCount} of ${count}`);
  console.log("statements in programs that the kernel accepts:");
  for (const [form, times] of accepted) console.log(`  ${form}: ${times}`);
  coverage.print();
  if (found.get("false accept")!.length + found.get("bug")!.length > 0) process.exitCode = 1;
}

function differenceText({ ours, kernel }: Comparison): string {
  const oursText = ours.bug ?? ours.unsupported ?? `${ours.errno ?? "accepted"} ${ours.message ?? ""}`;
  return `${oursText} (${ours.processed}); kernel: ${kernel.errno ?? "accepted"} ${kernel.message ?? ""} (${kernel.processed})`;
}

function minimised(program: Program): Program {
  const [first] = compareAll([program]);
  // The same kind of difference, and the kernel's answer in the same words but for numbers.
  const kind = ({ outcome, kernel }: Comparison): string => `${outcome} ${kernel.message?.replace(/\d+/g, "0") ?? ""}`;
  const wanted = kind(first!);
  return minimise(program, (candidates) => compareAll(candidates).map((comparison) => kind(comparison) === wanted));
}

function show(program: Program): void {
  const names = program.functions.map((known) => [known.insnIndex, known.name] as const);
  console.log(`; prog: ${program.type} license=${program.license}`);
  console.log(printProgram(program.insns, { labels: new Map(names), maps: program.maps.map((map) => map.name) }));
  console.log(differenceText(compareAll([program])[0]!));
}
