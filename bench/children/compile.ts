/**
 * node compile.js INSTRUCTIONS [settled]: verifies and compiles a packet filter of about that length, and prints ms, bytes and
 * memory as JSON. `settled`: begins when V8's own threads are done with the compiler's code, which they optimise after its import.
 */
import { FIRST_TIER, LAST_TIER } from "../../api/compilation.ts";
import { type LoweringOptions, lowerObject, type VerifiedProgram, verify } from "../../compiler/index.ts";
import { longFilter } from "../long-filter.ts";
import { settle } from "../settle.ts";

const size = Number(process.argv[2]);
const settles = process.argv[3] === "settled";
const megabytes = (): number => process.memoryUsage().rss / 2 ** 20;

async function measured<T>(work: () => T | Promise<T>): Promise<[T, number]> {
  const started = performance.now();
  const result = await work();
  return [result, performance.now() - started];
}

async function lowered(program: VerifiedProgram, options: LoweringOptions): Promise<Uint8Array> {
  const { name, license, maps } = program;
  return (await lowerObject({ name, license, maps, types: {}, programs: [program] }, options)).wasm;
}

function accepted(instructions: number): VerifiedProgram {
  const result = verify(longFilter(instructions));
  if (result.verdict !== "accepted") throw result.error;
  return result.program;
}

// binaryen is imported, and the compiler's own code warm, as in a service that loads a second object
const small = accepted(10);
await lowered(small, FIRST_TIER);
await lowered(small, LAST_TIER);
if (settles) await settle();
globalThis.gc?.();
const before = megabytes();
const [program, verifyMs] = await measured(() => accepted(size));
const [first, firstMs] = await measured(() => lowered(program, FIRST_TIER));
const [, engineMs] = await measured(() => new WebAssembly.Module(first));
const [best, bestMs] = await measured(() => lowered(program, LAST_TIER));
const [, againMs] = await measured(async () => new WebAssembly.Module(await lowered(accepted(size), FIRST_TIER)));
const answer = {
  instructions: program.insns.length,
  verifyMs,
  firstMs,
  bestMs,
  engineMs,
  againMs,
  firstBytes: first.length,
  bestBytes: best.length,
  memoryMegabytes: process.resourceUsage().maxRSS / 1024 - before,
};
process.stdout.write(`${JSON.stringify(answer)}\n`);
