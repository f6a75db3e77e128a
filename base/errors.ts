/**
 * The error hierarchy. Three outcomes are never mixed: rejected (VerifierError), unsupported (UnsupportedError),
 * bug (BugError); everything that comes from outside is one of the others.
 */
import type { ErrnoName } from "../spec/errno.ts";
import { ERRORS, type ErrorCode, type ErrorCodeOf } from "../spec/errors.ts";
import type { Explanation } from "./explanation.ts";

/** Where an error is: as much as is known, from the outside in. */
export interface ErrorPlace {
  readonly object?: string | undefined;
  readonly section?: string | undefined;
  readonly program?: string | undefined;
  /** the kernel function, variable, hook or field that is meant */
  readonly symbol?: string | undefined;
  readonly insnIndex?: number | undefined;
  /** byte offset in the file or section that was read */
  readonly offsetBytes?: number | undefined;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly text?: string | undefined;
}

export interface ErrorDetail {
  readonly where?: ErrorPlace;
  readonly hint?: string | undefined;
  readonly errno?: ErrnoName | undefined;
  readonly cause?: unknown;
}

/** Every error that crosses bpfjit's border. `message` starts in lower case and has no full stop. */
export class BpfError extends Error {
  override readonly name: string = "BpfError";
  readonly code: ErrorCode;
  readonly errno: ErrnoName | null;
  readonly where: ErrorPlace;
  readonly hint: string | null;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.errno = detail.errno ?? ERRORS[code].errno;
    this.where = detail.where ?? {};
    this.hint = detail.hint ?? ERRORS[code].remedy;
  }
}

/** The object file (or assembly, or prebuilt artifact) cannot be read or resolved. */
export class ObjectError extends BpfError {
  override readonly name = "ObjectError";
  constructor(code: ErrorCodeOf<"object">, message: string, detail?: ErrorDetail) {
    super(code, message, detail);
  }
}

export interface VerifierErrorDetail extends ErrorDetail {
  /** the kernel-like log; a function is called at most once, when the log is asked for: it verifies the program again */
  readonly log: string | (() => string);
  readonly processedInsns: number;
  /** called at most once, when the explanation is asked for: it verifies the program again */
  readonly explain?: () => Explanation | null;
}

/** The program is rejected: the kernel would refuse it too. */
export class VerifierError extends BpfError {
  override readonly name = "VerifierError";
  readonly processedInsns: number;
  #log: string | (() => string);
  readonly #explain: (() => Explanation | null) | undefined;
  #explanation: Explanation | null = null;

  constructor(message: string, detail: VerifierErrorDetail) {
    super("REJECTED", message, detail);
    this.#log = detail.log;
    this.processedInsns = detail.processedInsns;
    this.#explain = detail.explain;
  }

  /** The trace of the path that failed, as the kernel's verifier writes it at its first level, or more where that was asked for. */
  get log(): string {
    if (typeof this.#log === "function") this.#log = this.#log();
    return this.#log;
  }

  /** Why, in words: how the path came there and what would be allowed. Null where only the encoding was looked at. */
  get explanation(): Explanation | null {
    if (this.#explanation === null && this.#explain !== undefined) this.#explanation = this.#explain();
    return this.#explanation;
  }
}

/** The kernel may take it; bpfjit cannot judge or run it yet. `feature` names what is missing. */
export class UnsupportedError extends BpfError {
  override readonly name = "UnsupportedError";
  readonly feature: string;
  constructor(code: ErrorCodeOf<"unsupported">, feature: string, message: string, detail?: ErrorDetail) {
    super(code, message, detail);
    this.feature = feature;
  }
}

export class MapError extends BpfError {
  override readonly name = "MapError";
  constructor(code: ErrorCodeOf<"map">, message: string, detail?: ErrorDetail) {
    super(code, message, detail);
  }
}

export class AttachError extends BpfError {
  override readonly name = "AttachError";
  constructor(code: ErrorCodeOf<"attach">, message: string, detail?: ErrorDetail) {
    super(code, message, detail);
  }
}

export class CaptureError extends BpfError {
  override readonly name = "CaptureError";
  constructor(code: ErrorCodeOf<"capture">, message: string, detail?: ErrorDetail) {
    super(code, message, detail);
  }
}

/** Wrong use of the library or the command. */
export class UsageError extends BpfError {
  override readonly name = "UsageError";
  constructor(code: ErrorCodeOf<"usage">, message: string, detail?: ErrorDetail) {
    super(code, message, detail);
  }
}

/** A program did at run time what no program must do, or could not be run on. */
export class FaultError extends BpfError {
  override readonly name = "FaultError";
  constructor(code: ErrorCodeOf<"fault">, message: string, detail?: ErrorDetail) {
    super(code, message, detail);
  }
}

/** An invariant of ours broke. */
export class BugError extends BpfError {
  override readonly name = "BugError";
  constructor(message: string, detail?: ErrorDetail & { code?: ErrorCodeOf<"bug"> }) {
    super(detail?.code ?? "INVARIANT", message, detail);
  }
}

/** The default branch of a switch over a union. */
export function unreachable(value: never): never {
  throw new BugError(`unexpected value ${JSON.stringify(value)}`);
}
