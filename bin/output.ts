/**
 * What the command prints: results on standard output (text, or one JSON value a line), errors on standard error as
 * message, place and hint. A broken pipe on standard output ends the command quietly.
 */
import { BpfError, type ErrorPlace, VerifierError } from "../base/index.ts";
import { err } from "./colors.ts";
import { paintExplanation } from "./explanation.ts";

/** One JSON value a line; 64-bit integers beyond 2^53 become decimal strings, bytes hexadecimal. */
export function printJson(value: unknown): void {
  printLine(JSON.stringify(value, jsonReplacer));
}

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints what went wrong, where (in `object`, unless the error knows) and what to do; the stack only with `debug`. */
export function printError(error: unknown, options: { debug: boolean; object?: string }): void {
  process.stderr.write(`${describeError(error, options.object)}\n`);
  if (options.debug && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
}

export function describeError(error: unknown, object?: string): string {
  if (!(error instanceof BpfError)) {
    return `${err.red("bpfjit: internal error:")} ${error instanceof Error ? error.message : String(error)}\n  hint: please report it; --debug shows where it happened`;
  }
  const place = describePlace(object === undefined ? error.where : { object, ...error.where });
  const lines = [
    `${err.red("bpfjit:")} ${error.message}${error.errno === null ? "" : ` (${error.errno})`} ${err.dim(`[${error.code}]`)}`,
  ];
  if (place !== "") lines.push(`  at ${place}`);
  const explanation = error instanceof VerifierError ? error.explanation : null;
  // It shows the line, and says what helps.
  if (explanation !== null) return [...lines, paintExplanation(explanation, process.stderr.columns, err)].join("\n");
  if (error.where.text) lines.push(`  ${err.dim("|")} ${error.where.text.trim()}`);
  if (error.hint !== null) lines.push(`  hint: ${error.hint}`);
  return lines.join("\n");
}

function describePlace(where: ErrorPlace): string {
  const parts: string[] = [];
  if (where.object !== undefined) parts.push(where.object);
  if (where.section !== undefined && where.section !== "") parts.push(`section ${where.section}`);
  if (where.program !== undefined) parts.push(`program ${where.program}`);
  if (where.insnIndex !== undefined) parts.push(`insn ${where.insnIndex}`);
  if (where.offsetBytes !== undefined) parts.push(`offset ${where.offsetBytes}`);
  if (where.file !== undefined) parts.push(where.line === undefined ? where.file : `${where.file}:${where.line}`);
  return parts.join(", ");
}

function jsonReplacer(_key: string, value: unknown): unknown {
  if (typeof value !== "bigint") return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

/** `head` and friends close the pipe: stop writing, no error. */
export function endQuietlyOnBrokenPipe(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

/** A note for people beside the results: on standard error, so that a pipe gets results only. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
