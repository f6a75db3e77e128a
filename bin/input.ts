/** Files and standard input of the command; what cannot be read or written is a UsageError. */
import { readFileSync, writeFileSync } from "node:fs";
import { fromHex, UsageError } from "../base/index.ts";
import { errnoOf } from "../spec/errno.ts";

export function readInputFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new UsageError("INPUT_UNREADABLE", `cannot read ${path}: ${reasonOf(cause)}`, { cause });
  }
}

export function writeOutputFile(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes);
  } catch (cause) {
    throw new UsageError("OUTPUT_UNWRITABLE", `cannot write ${path}: ${reasonOf(cause)}`, {
      cause,
      errno: errnoOf(cause),
    });
  }
}

function reasonOf(cause: unknown): string {
  const { code } = cause as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
      return "there is no such file or folder";
    case "EISDIR":
      return "it is a folder";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    default:
      return code ?? String(cause);
  }
}

export async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

export function parseHexArgument(text: string, what: string): Uint8Array {
  const bytes = fromHex(text);
  if (bytes === null)
    throw new UsageError("USAGE", `${what} is not hexadecimal`, { hint: "two digits a byte, no prefix" });
  return bytes;
}

/** A whole number in [least, most], decimal or 0x…; else a UsageError that names the option. */
export function parseCount(text: string, what: string, least: number, most: number): number {
  const value = /^(\d+|0x[0-9a-f]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most))
    throw new UsageError("USAGE", `${what} must be a whole number from ${least} to ${most}, not ${text}`);
  return value;
}

/** Seconds, above 0, with a fraction or without. */
export function parseSeconds(text: string, what: string): number {
  const value = /^(\d+\.?\d*|\.\d+)$/.test(text) ? Number(text) : 0;
  if (value > 0) return value;
  throw new UsageError("USAGE", `${what} must be a number of seconds, not ${text}`);
}
