/** Verdicts as one line each, `accepted` or `ERRNO: message`: the kernel's and ours, to be compared and recorded. */
import { fileURLToPath } from "node:url";
import type { Program } from "../../../compiler/program.ts";
import { verify } from "../../../compiler/verifier/index.ts";
import type { Recording } from "../../kernel/recording.ts";
import { kernelVerdicts } from "./kernel.ts";

export interface NamedProgram {
  readonly name: string;
  readonly program: Program;
}

const LOADER = fileURLToPath(new URL("load.c", import.meta.url));

/** Some of the kernel's messages have no line of their own. */
const answer = (errno: string | null, message: string | null): string =>
  errno === null ? "accepted" : `${errno}: ${message?.replace(/processed \d+ insns.*$/, "")}`;

/** By name; only where the kernel can be asked. */
export function kernelAnswers(asked: readonly NamedProgram[]): Recording {
  const programs = asked.map(({ program }) => program);
  const verdicts = kernelVerdicts(programs, LOADER)!;
  return Object.fromEntries(
    asked.map(({ name }, index) => [name, answer(verdicts[index]!.errno, verdicts[index]!.message)]),
  );
}

/** By name, without those that cannot be judged. */
export function ownAnswers(asked: readonly NamedProgram[]): Recording {
  return Object.fromEntries(
    asked.flatMap(({ name, program }): [string, string][] => {
      const result = verify(program);
      if (result.verdict === "unsupported") return [];
      const error = result.verdict === "accepted" ? null : result.error;
      return [[name, error === null ? answer(null, null) : answer(error.errno ?? null, error.message)]];
    }),
  );
}
