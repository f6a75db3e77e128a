/** How a check stops the verification: rejected with the kernel's errno and message, or unsupported. index.ts makes the errors. */
import type { ErrnoName } from "../../spec/errno.ts";
import type { ErrorCodeOf } from "../../spec/errors.ts";
import type { Log } from "./log.ts";

/** The kernel would refuse the program here. `message` is the last line that it would log. */
export class Rejection extends Error {
  readonly errno: ErrnoName;
  constructor(errno: ErrnoName, message: string) {
    super(message);
    this.errno = errno;
  }
}

/** The kernel may take the program, the verifier cannot judge it. */
export class Unsupported extends Error {
  readonly code: ErrorCodeOf<"unsupported">;
  readonly feature: string;
  constructor(code: ErrorCodeOf<"unsupported">, feature: string, message: string) {
    super(message);
    this.code = code;
    this.feature = feature;
  }
}

/** Writes `lines` to the log and stops with the last of them as the message. */
export function reject(env: { readonly log: Log }, errno: ErrnoName, ...lines: string[]): never {
  for (const line of lines) env.log.line(line);
  throw new Rejection(errno, lines.at(-1) ?? "");
}

export function unsupported(feature: string, message = `bpfjit cannot judge ${feature} yet`): never {
  throw new Unsupported("UNSUPPORTED_FEATURE", feature, message);
}

/** An inconsistency that the kernel finds in itself; it refuses the program then, and so do we. Kernel: verifier_bug(). */
export function kernelBug(env: { readonly log: Log }, what: string): never {
  reject(env, "EFAULT", `verifier bug: ${what}`);
}
