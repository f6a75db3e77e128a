/** Runs random programs on two engines and collects where they differ. */
import { Coverage } from "./coverage.ts";
import { type RandomEngine, type RandomOutcome, referenceEngine } from "./engines.ts";
import { generate, type RandomProgram } from "./generate.ts";

export interface Difference {
  readonly seed: number;
  readonly text: string;
}

export interface Comparison {
  /** programs that the judge ran */
  readonly compared: number;
  /** programs that it does not run (now and then a loop is too much for the kernel's verifier): another was drawn for each */
  readonly refused: readonly Difference[];
  readonly differences: readonly Difference[];
  readonly coverage: Coverage;
}

export interface CompareOptions {
  readonly seed: number;
  readonly count: number;
  /** the one that is right: the kernel where there is one */
  readonly judge: RandomEngine;
  readonly engine: RandomEngine;
  /** programs given to an engine at a time */
  readonly batch?: number;
  readonly progress?: (done: number) => void;
}

/** A judge that refuses more than these is out of order: the comparison stops. */
const MOST_REFUSED = 20;

/** Coverage is counted by the reference interpreter, which runs every program too. */
export async function compareEngines(options: CompareOptions): Promise<Comparison> {
  const coverage = new Coverage();
  const counter = referenceEngine((program, times) => coverage.add(program.insns, times, program.misalign));
  const refused: Difference[] = [];
  const differences: Difference[] = [];
  const batch = options.batch ?? 256;
  let compared = 0;
  for (let drawn = 0; compared < options.count; ) {
    if (refused.length > MOST_REFUSED + compared / 100) break;
    const programs = [...generate(options.seed + drawn, Math.min(batch, options.count - compared))];
    drawn += programs.length;
    const counted = counter.run(programs);
    const [right, got] = await Promise.all([
      options.judge.run(programs),
      options.engine.name === "reference" ? counted : options.engine.run(programs),
      counted,
    ]);
    programs.forEach((program, index) => {
      const judged = right[index]!;
      if ("problem" in judged) {
        refused.push({ seed: program.seed, text: judged.problem });
        return;
      }
      compared++;
      const text = differenceOf(program, judged, got[index]!);
      if (text !== null) differences.push({ seed: program.seed, text });
    });
    options.progress?.(compared);
  }
  return { compared, refused, differences, coverage };
}

function differenceOf(
  program: RandomProgram,
  right: Exclude<RandomOutcome, { problem: string }>,
  got: RandomOutcome,
): string | null {
  if ("problem" in got) return got.problem;
  if (BigInt.asUintN(32, got.r0) !== BigInt.asUintN(32, right.r0))
    return `r0 is 0x${got.r0.toString(16)}, not 0x${right.r0.toString(16)}`;
  if (got.memory === right.memory) return null;
  for (let at = 0; at < program.memory.length; at++) {
    const ours = got.memory.slice(2 * at, 2 * at + 2);
    const theirs = right.memory.slice(2 * at, 2 * at + 2);
    if (ours !== theirs) return `memory at ${at} is ${ours || "missing"}, not ${theirs}`;
  }
  return `memory is longer than ${program.memory.length} bytes`;
}
