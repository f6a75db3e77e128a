/**
 * Answers of the kernel, committed for machines that cannot ask it: gzip'd JSON, by name. To keep it small an answer is the
 * hash of what a run leaves behind, or the verdict. Recorded with `RECORD=1 npx vitest run tests/kernel tests/reference`.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import type { OracleAnswer } from "./oracle.ts";

/** Set to write the recordings anew. */
export const RECORDING = process.env.RECORD === "1";

export type Recording = Record<string, string>;

export function readRecording(url: URL): Recording {
  if (!existsSync(url)) return {};
  return JSON.parse(gunzipSync(readFileSync(url)).toString("utf8")) as Recording;
}

export function writeRecording(url: URL, recording: Recording): void {
  mkdirSync(dirname(fileURLToPath(url)), { recursive: true });
  writeFileSync(url, gzipSync(JSON.stringify(recording), { level: 9 }));
}

/** What is compared of a run: r0 as the kernel gives it (32 bits) and every byte of memory. */
export function fingerprint(r0: bigint, memory: Uint8Array | string): string {
  const hex = typeof memory === "string" ? memory : Buffer.from(memory).toString("hex");
  return createHash("sha256")
    .update(`${BigInt.asUintN(32, r0).toString(16)} ${hex}`)
    .digest("base64url")
    .slice(0, 12);
}

export function answerFingerprint(answer: OracleAnswer): string {
  if (!("verdict" in answer)) return `error: ${answer.error}`;
  if (answer.verdict === "rejected")
    return `rejected ${answer.errno}: ${answer.log.trimEnd().split("\n").at(-2) ?? ""}`;
  return fingerprint(BigInt(`0x${answer.r0}`), answer.mem ?? "");
}

/** Names whose answers differ or that only one side has, with both answers. */
export function differences(ours: Recording, theirs: Recording): string[] {
  const names = new Set([...Object.keys(ours), ...Object.keys(theirs)]);
  return [...names]
    .filter((name) => ours[name] !== theirs[name])
    .map((name) => `${name}: ${ours[name]}, not ${theirs[name]}`);
}
