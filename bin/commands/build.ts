/** `bpfjit build OBJ -o FILE.wasm`: verifies and compiles ahead of time; what is written runs without the compiler. */
import { compile } from "../../api/index.ts";
import { type CacheArguments, cacheOf } from "../cache.ts";
import { type EditArguments, editOf } from "../edits.ts";
import { parseCount, readInputFile, writeOutputFile } from "../input.ts";
import type { CommonOptions } from "../options.ts";
import { note, printJson } from "../output.ts";
import { readTarget, type TargetArguments } from "../target.ts";

interface BuildOptions extends CommonOptions, TargetArguments, CacheArguments, EditArguments {
  readonly output: string;
  readonly prog?: readonly string[];
  readonly opt: string;
  readonly profile?: boolean;
}

export async function build(path: string, options: BuildOptions): Promise<void> {
  const optimize = parseCount(options.opt, "--opt", 0, 3) as 0 | 1 | 2 | 3;
  const { wasm, manifest } = await compile(readInputFile(path), {
    name: path,
    optimize,
    profile: options.profile === true,
    ...(options.prog !== undefined && { programs: options.prog }),
    ...cacheOf(options),
    ...editOf(options),
    ...readTarget(options),
  });
  writeOutputFile(options.output, wasm);
  const programs = manifest.programs.map((program) => program.name);
  if (options.json) printJson({ type: "built", object: path, output: options.output, bytes: wasm.length, programs });
  else if (!options.quiet) note(`${options.output}: ${programs.join(", ")}, ${wasm.length} bytes`);
}
