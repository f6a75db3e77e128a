/**
 * Exceptions: bpf_throw() ends the program wherever it is, through a callback that the main function names
 * (exception-callback.ts), or with what is thrown as the program's result. Kernel: process_bpf_exit_full().
 */
import type { Env } from "./env.ts";
import { checkProgramResult } from "./exit.ts";
import type { Step } from "./explore.ts";
import { checkNoLeak } from "./references.ts";

/** What is thrown is the program's result where no callback makes one of it. */
export function checkThrow(env: Env): Step {
  if (env.exceptionCallback < 0) checkProgramResult(env, 1);
  checkNoLeak(env, "bpf_throw", "anywhere");
  return "ended";
}
