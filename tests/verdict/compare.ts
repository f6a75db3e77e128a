/** Our verdict beside the kernel's, and what it means where they differ. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BpfError } from "../../base/errors.ts";
import type { Program } from "../../compiler/program.ts";
import { type VerifyOptions, verify } from "../../compiler/verifier/index.ts";
import { type KernelVerdict, kernelVerdicts } from "../verifier/kernel/kernel.ts";

export interface Judgement {
  /** errno's name, null: accepted */
  readonly errno: string | null;
  readonly message: string | null;
  readonly processed: number | null;
}
export type OurJudgement = Judgement & { readonly unsupported: string | null; readonly bug: string | null };

export const OUTCOMES = [
  /** we take what the kernel refuses: dangerous */
  "false accept",
  "false reject",
  /** an exception that no caller expects */
  "bug",
  "unsupported",
  /** the kernel gives up with an inconsistency of its own, or takes too long */
  "kernel bug",
  /** the same verdict, but another errno or message */
  "errno",
  "message",
  /** accepted by both, after another number of instructions */
  "processed",
  "same",
] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Comparison {
  readonly outcome: Outcome;
  readonly ours: OurJudgement;
  readonly kernel: Judgement;
}

/** The built tests lie in dist/, without the C source. */
const LOADER = ["../verifier/kernel/load.c", "../../../tests/verifier/kernel/load.c"]
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find(existsSync)!;

/** The log without traces: messages and the number of instructions. */
const LOG_STATISTICS = 4;

/** The kernel's judgements in order; null where there is no kernel to ask. */
export function askKernel(programs: readonly Program[]): Judgement[] | null {
  return kernelVerdicts(programs, LOADER, LOG_STATISTICS)?.map(judgementOf) ?? null;
}

function judgementOf({ errno, message, log }: KernelVerdict): Judgement {
  const processed = /^processed (\d+) insns/m.exec(log);
  // A message without a line break runs into the statistics.
  const text = message?.replace(/verification time \d+ usec$/, "") ?? null;
  return {
    errno,
    message: errno === null ? null : text,
    processed: processed === null ? null : Number(processed[1]),
  };
}

/** `cpus`: as many as the kernel that is compared with has. */
export function judge(program: Program, cpus: number, recorder?: VerifyOptions["recorder"]): OurJudgement {
  try {
    const result = verify(program, { cpus, ...(recorder && { recorder }) });
    const processed = result.processedInsns;
    if (result.verdict === "accepted") return { errno: null, message: null, processed, unsupported: null, bug: null };
    const { message, errno } = result.error;
    if (result.verdict === "rejected") return { errno, message, processed, unsupported: null, bug: null };
    return { errno: null, message, processed, unsupported: result.error.feature, bug: null };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const bug = error instanceof BpfError ? `${error.code}: ${text}` : text;
    return { errno: null, message: null, processed: null, unsupported: null, bug };
  }
}

export function compare(ours: OurJudgement, kernel: Judgement): Comparison {
  return { outcome: outcomeOf(ours, kernel), ours, kernel };
}

function outcomeOf(ours: OurJudgement, kernel: Judgement): Outcome {
  if (ours.bug !== null) return "bug";
  if (ours.unsupported !== null) return "unsupported";
  if (kernel.errno === "EAGAIN") return "kernel bug";
  if (kernel.message?.startsWith("verifier bug:") && ours.message !== kernel.message) return "kernel bug";
  if (ours.errno === null) {
    if (kernel.errno !== null) return "false accept";
    return ours.processed === kernel.processed ? "same" : "processed";
  }
  if (kernel.errno === null) return "false reject";
  if (ours.errno !== kernel.errno) return "errno";
  return (ours.message ?? "") === (kernel.message ?? "") ? "same" : "message";
}
