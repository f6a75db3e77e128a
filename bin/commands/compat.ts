/** `bpfjit compat OBJ… --btf DIR|FILE…`: which object loads on which kernel, and what is missing where it does not. */
import {
  type CompatProblem,
  compatObject,
  type KernelTarget,
  type ObjectCompat,
  type ProgramCompat,
  readKernels,
} from "../../api/index.ts";
import { BpfError, UsageError } from "../../base/index.ts";
import { findKernelVersion } from "../../compiler/front.ts";
import { out } from "../colors.ts";
import { EXIT, type ExitCode, exitCodeOf, worstExit } from "../exit.ts";
import { readInputFile } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { printError, printJson, printLine } from "../output.ts";
import { textTable } from "../text-table.ts";

interface CompatOptions extends CommonOptions {
  readonly btf: readonly string[];
}

export async function compat(objects: readonly string[], options: CompatOptions): Promise<void> {
  const kernels = options.btf.flatMap(kernelsOf);
  const codes: ExitCode[] = [];
  const rows: { path: string; results: readonly ObjectCompat[] }[] = [];
  for (const path of objects) {
    try {
      const bytes = readInputFile(path);
      const results = kernels.map((kernel) => compatObject(bytes, kernel, { name: path }));
      rows.push({ path, results });
      if (options.json) for (const result of results) printJson(toJson(path, result));
      codes.push(results.every(({ loads }) => loads) ? EXIT.done : EXIT.rejected);
    } catch (error) {
      if (!(error instanceof BpfError)) throw error;
      codes.push(exitCodeOf(error));
      printError(error, { debug: options.debug ?? false });
    }
  }
  if (!options.json && rows.length > 0) printTable(kernels, rows, options);
  process.exitCode = worstExit(codes);
}

/** `PATH`, or `VERSION=PATH` where the name of the file does not say the version. */
function kernelsOf(argument: string): KernelTarget[] {
  const found = /^(\d+\.[\d.]+)=(.+)$/.exec(argument);
  if (found === null) return readKernels(argument);
  const version = findKernelVersion(found[1]!);
  if (version === null) throw new UsageError("USAGE", `${found[1]} is no kernel version`);
  return readKernels(found[2]!).map((kernel) => ({ ...kernel, kernelVersion: version }));
}

function toJson(object: string, { kernel, kernelVersion, loads, problems, programs }: ObjectCompat): unknown {
  return { object, kernel, version: versionText(kernelVersion), loads, problems, programs };
}

const versionText = (version: number | null): string | null =>
  version === null ? null : `${version >> 16}.${(version >> 8) & 0xff}.${version & 0xff}`;

function printTable(
  kernels: readonly KernelTarget[],
  rows: readonly { path: string; results: readonly ObjectCompat[] }[],
  options: CompatOptions,
): void {
  const table = [
    ["object", ...kernels.map(({ kernel }) => kernel)],
    ...rows.map(({ path, results }) => [path, ...results.map(cellOf)]),
  ];
  for (const line of textTable(table)) printLine(line);
  if (options.quiet) return;
  for (const { path, results } of rows) {
    for (const result of results) {
      const failing = result.programs.filter(({ loads }) => !loads);
      if (failing.length === 0 && result.problems.length === 0) continue;
      printLine(`\n${out.bold(path)} on ${out.bold(result.kernel)}`);
      for (const problem of result.problems) printLine(`  ${out.red(problem.kind)} ${problem.message}`);
      for (const program of failing) printProgram(program);
    }
  }
}

function cellOf({ loads, programs, problems }: ObjectCompat): string {
  if (loads) return "loads";
  const wanted = programs.filter(({ autoload }) => autoload);
  const failing = wanted.filter((program) => !program.loads).length;
  return problems.length > 0 && failing === 0 ? "no" : `no: ${failing} of ${wanted.length} programs`;
}

function printProgram({ program, section, autoload, problems }: ProgramCompat): void {
  printLine(`  ${program} ${out.dim(`${section}${autoload ? "" : ", not loaded by default"}`)}`);
  for (const problem of problems) printLine(`    ${problemText(problem)}`);
}

const problemText = ({ kind, message, insnIndex }: CompatProblem): string =>
  `${out.red(kind)} ${message}${insnIndex === null ? "" : out.dim(` (insn ${insnIndex})`)}`;
