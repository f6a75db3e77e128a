/** What the verifier says of a poisoned instruction, with the field or type that the target lacks. */
import { type BpfError, VerifierError } from "../base/index.ts";
import type { Program } from "../compiler/index.ts";

/** The same error, unless it is about an instruction that CO-RE could not relocate. */
export function describeMissing(error: BpfError, program: Program): BpfError {
  const missing = error.where.insnIndex === undefined ? undefined : program.missing?.get(error.where.insnIndex);
  if (missing === undefined || !(error instanceof VerifierError)) return error;
  return new VerifierError(`${error.message}: ${missing.text}`, {
    log: () => error.log,
    processedInsns: error.processedInsns,
    where: error.where,
    explain: () => error.explanation,
    errno: error.errno ?? undefined,
    hint: "guard the access with bpf_core_field_exists() or its like, or give the BTF of another kernel",
    cause: error,
  });
}
