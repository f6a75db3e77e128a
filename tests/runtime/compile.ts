/** From text assembly to a compiled object, the whole way: assemble, verify, lower. */
import { assembleProgram } from "../../compiler/asm/index.ts";
import { type LoweringOptions, lowerObject } from "../../compiler/lowering/index.ts";
import type { Program, UncheckedProgram } from "../../compiler/program.ts";
import { verify } from "../../compiler/verifier/index.ts";
import type { CompiledObject } from "../../spec/index.ts";

/** Not optimised: these tests are about what happens around programs. */
const OPTIONS = { optimize: 0 } as const;

/** Programs of one object; they share the maps, which every text must declare alike. */
export function compile(...texts: readonly string[]): Promise<CompiledObject> {
  return compileWith(OPTIONS, ...texts);
}

export async function compileWith(options: LoweringOptions, ...texts: readonly string[]): Promise<CompiledObject> {
  const programs = texts.map((text) => assembleProgram(text).program).map(accepted);
  const { maps, license } = programs[0]!;
  return lowerObject({ name: "test", license, maps, types: {}, programs }, options);
}

/** Without the verifier: raw programs only. */
export function compileUnchecked(text: string): Promise<CompiledObject> {
  const { program } = assembleProgram(text);
  const unchecked: UncheckedProgram = { ...program, type: "raw", unchecked: true };
  return lowerObject({ name: "test", license: "GPL", maps: [], types: {}, programs: [unchecked] }, OPTIONS);
}

function accepted(program: Program) {
  const result = verify(program, { logLevel: 1 });
  if (result.verdict !== "accepted") throw new Error(`${result.error.message}\n${result.log}`);
  return result.program;
}
