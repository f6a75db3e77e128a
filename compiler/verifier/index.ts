/**
 * The verifier: decides whether a program is safe to run, with the kernel's verdict, and hands on what it learned of it.
 * Not here: making the program (compiler/object, compiler/asm) and using the facts (compiler/lowering).
 */
import { type ErrorPlace, UnsupportedError, VerifierError } from "../../base/errors.ts";
import { type Program, sourceLineAt, type VerifiedProgram } from "../program.ts";
import { checkControlFlow, checkSubprograms, findSubprograms } from "./cfg.ts";
import { findComponents } from "./components.ts";
import { refuseDeadCallbacks } from "./dead-callbacks.ts";
import { checkEncodings } from "./encoding.ts";
import { exploreProgram } from "./entry.ts";
import { Env } from "./env.ts";
import { explainRejection } from "./explain/index.ts";
import { Rejection, reject, Unsupported } from "./failure.ts";
import { checkFunctions } from "./function-info.ts";
import { requireHook } from "./hook.ts";
import { findLiveRegisters } from "./liveness.ts";
import { checkAttachType, checkSleepable } from "./load-check.ts";
import { LOG_LEVEL } from "./log.ts";
import type { Recorder } from "./recorder.ts";
import { checkStackDepth } from "./stack-depth.ts";
import { StackLiveness } from "./stack-liveness.ts";

export interface VerifyOptions {
  /** bits as in the kernel: 1 trace of the failing path, 2 of all paths, 4 statistics */
  readonly logLevel?: number;
  /** how many CPUs there are, which bounds bpf_get_smp_processor_id; absent: any number */
  readonly cpus?: number;
  /** is told of every step; for tests of the verifier */
  readonly recorder?: Recorder;
}

interface Outcome {
  readonly log: string;
  readonly processedInsns: number;
}
export type VerifierResult =
  | (Outcome & { readonly verdict: "accepted"; readonly program: VerifiedProgram })
  | (Outcome & { readonly verdict: "rejected"; readonly error: VerifierError })
  | (Outcome & { readonly verdict: "unsupported"; readonly error: UnsupportedError });

export function verify(program: Program, options: VerifyOptions = {}): VerifierResult {
  const env = new Env(program, options.logLevel ?? 0, options.cpus ?? null);
  env.recorder = options.recorder ?? null;
  try {
    run(env);
  } catch (error) {
    if (error instanceof Rejection) return rejected(env, error);
    if (error instanceof Unsupported) return unsupported(env, error);
    throw error;
  }
  const facts = env.facts.finish(env);
  // The only place that makes the proof: every check above has passed.
  const verified = { ...program, facts } as unknown as VerifiedProgram;
  return { verdict: "accepted", program: verified, log: closeLog(env), processedInsns: env.processedInsns };
}

function run(env: Env): void {
  if (env.type.ctx === null) {
    throw new Unsupported(
      "UNSUPPORTED_PROGRAM_TYPE",
      `program type ${env.type.name}`,
      `bpfjit cannot judge programs of type ${env.type.name} yet`,
    );
  }
  checkAttachType(env);
  checkSleepable(env);
  findSubprograms(env);
  checkSubprograms(env);
  checkFunctions(env);
  checkEncodings(env);
  checkControlFlow(env);
  env.hook = requireHook(env);
  findLiveRegisters(env);
  findComponents(env);
  env.stackLiveness = new StackLiveness(env);
  exploreProgram(env);
  checkStackDepth(env);
  if (env.callsMissingFunction) {
    reject(env, "EINVAL", "invalid kernel function call not eliminated in verifier pass");
  }
  refuseDeadCallbacks(env);
}

function rejected(env: Env, rejection: Rejection): VerifierResult {
  const log = closeLog(env);
  const { processedInsns, program, insnIndex } = env;
  const detail = {
    errno: rejection.errno,
    where: place(env),
    // Nearly every program is accepted: the trace is only written for who reads it.
    log: env.log.traces ? log : () => closeLog(replay(env, LOG_LEVEL.PATH, null)),
    processedInsns,
    explain: () => explainRejection(program, rejection, insnIndex, (recorder) => replay(env, 0, recorder)),
  };
  return { verdict: "rejected", error: new VerifierError(rejection.message, detail), log, processedInsns };
}

/** Verifies a rejected program again, to the same end. */
function replay({ program, cpus }: Env, logLevel: number, recorder: Env["recorder"]): Env {
  const env = new Env(program, logLevel, cpus);
  env.recorder = recorder;
  try {
    run(env);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
  }
  return env;
}

function unsupported(env: Env, cause: Unsupported): VerifierResult {
  const error = new UnsupportedError(cause.code, cause.feature, cause.message, { where: place(env) });
  return { verdict: "unsupported", error, log: closeLog(env), processedInsns: env.processedInsns };
}

function place(env: Env): ErrorPlace {
  const { program } = env;
  const line = sourceLineAt(program, env.insnIndex);
  return {
    section: program.section,
    program: program.name,
    insnIndex: env.insnIndex,
    ...(line ? { file: line.file, line: line.line, text: line.text } : {}),
  };
}

/** The statistics that end every log. Kernel: print_verification_stats(). */
function closeLog(env: Env): string {
  if (env.log.level === 0) return env.log.toString();
  env.log.line(
    `processed ${env.processedInsns} insns (limit 1000000) max_states_per_insn ${env.mostStatesPerInsn} ` +
      `total_states ${env.totalStates} peak_states ${env.peakStates} mark_read 0`,
  );
  return env.log.toString();
}
