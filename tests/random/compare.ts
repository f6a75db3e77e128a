/**
 * The command that compares engines on random programs:
 *
 *     npm run build && node dist/tests/random/compare.js [--count 100000] [--seed 1] [--engine exec|compiled|reference]
 *                                                        [--judge kernel|reference] [--show SEED] [--forms]
 *
 * Exit status 1 where a program differs or too many are refused. `--show` prints one program, `--forms` the coverage.
 */
import { parseArgs } from "node:util";
import { printProgram } from "../../compiler/asm/index.ts";
import { oracleProblem } from "../kernel/oracle.ts";
import { compareEngines } from "./comparison.ts";
import { execEngine, kernelEngine, type RandomEngine, referenceEngine } from "./engines.ts";
import { generateProgram } from "./generate.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    engine: { type: "string", default: "exec" },
    judge: { type: "string" },
    show: { type: "string" },
    forms: { type: "boolean", default: false },
  },
});

if (values.show !== undefined) {
  const { insns, misalign } = generateProgram(Number(values.show));
  process.stdout.write(`; misalign ${misalign}\n${printProgram(insns)}`);
} else process.exitCode = await compare();

async function compare(): Promise<number> {
  const problem = oracleProblem();
  const judgeName = values.judge ?? (problem === null ? "kernel" : "reference");
  await using judge = await engineOf(judgeName);
  await using engine = await engineOf(values.engine);
  const count = Number(values.count);
  const started = performance.now();
  const result = await compareEngines({
    seed: Number(values.seed),
    count,
    judge,
    engine,
    progress: (done) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${count}`);
    },
  });
  const seconds = (performance.now() - started) / 1000;
  const { compared, coverage, refused, differences } = result;
  const print = (line: string) => process.stdout.write(`${line}\n`);
  print(
    `${judge.name} and ${engine.name}: ${compared} programs in ${seconds.toFixed(1)} s, ${Math.round(compared / seconds)} a second`,
  );
  print(`differences ${differences.length}, refused by ${judge.name} ${refused.length}`);
  for (const { seed, text } of differences.slice(0, 20)) print(`  seed ${seed}: ${text}`);
  for (const { seed, text } of refused.slice(0, 5)) print(`  refused, seed ${seed}: ${text}`);
  if (values.forms) print(coverage.report());
  else print(`instructions run ${coverage.steps}, forms rarer than 1 %: ${coverage.rare().length}`);
  return differences.length > 0 || refused.length * 1000 > count || compared < count ? 1 : 0;
}

async function engineOf(name: string): Promise<RandomEngine> {
  switch (name) {
    case "kernel":
      return kernelEngine();
    case "reference":
      return referenceEngine();
    case "compiled":
      return (await import("./compiled.ts")).compiledEngine();
    case "exec":
      return execEngine(new URL("../../bin/bpfjit.js", import.meta.url).pathname);
    default:
      throw new Error(`no engine ${name}`);
  }
}
