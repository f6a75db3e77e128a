/**
 * Exit codes of the command and how several outcomes become one. docs/command.md lists them.
 */
import {
  AttachError,
  BugError,
  CaptureError,
  FaultError,
  MapError,
  ObjectError,
  UnsupportedError,
  UsageError,
  VerifierError,
} from "../base/index.ts";

export const EXIT = {
  done: 0,
  /** a program was rejected or unloadable, or a comparison failed */
  rejected: 1,
  /** wrong use or unreadable input */
  usage: 2,
  /** a program or bpfjit itself failed at run time */
  fault: 3,
  unsupported: 4,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof VerifierError || error instanceof ObjectError || error instanceof MapError) return EXIT.rejected;
  if (error instanceof UnsupportedError) return EXIT.unsupported;
  if (error instanceof CaptureError && error.code === "CAPTURE_UNSUPPORTED") return EXIT.unsupported;
  if (error instanceof UsageError || error instanceof CaptureError || error instanceof AttachError) return EXIT.usage;
  if (error instanceof FaultError || error instanceof BugError) return EXIT.fault;
  return EXIT.fault;
}

/** Of several outcomes the first that applies of 3, 1, 4; then whatever else is not 0. */
export function worstExit(codes: Iterable<ExitCode>): ExitCode {
  const seen = new Set(codes);
  for (const code of [EXIT.fault, EXIT.rejected, EXIT.unsupported, EXIT.usage, EXIT.interrupted]) {
    if (seen.has(code)) return code;
  }
  return EXIT.done;
}
