/** Asks another program what it reads in a file of ours; where it is not installed, the recorded file and answer are held to. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect } from "vitest";

const RECORDED = new URL("recorded/", import.meta.url);

export function isInstalled(command: string): boolean {
  return spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
}

/** Standard output; throws where the program fails. */
export function ask(command: string, args: readonly string[], input?: Uint8Array): string {
  // HOME: neither reads settings of whoever runs the tests
  const env = { ...process.env, HOME: "/nonexistent", LC_ALL: "C", TZ: "UTC" };
  const { status, stdout, stderr } = spawnSync(command, args, { input, env, encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}

/** The bytes are those of the recorded file, so the answers recorded with it hold for them. UPDATE=1 records them. */
export function expectRecorded(name: string, bytes: Uint8Array | string): void {
  const path = new URL(name, RECORDED);
  if (process.env.UPDATE === "1" || !existsSync(path)) writeFileSync(path, bytes);
  const recorded = readFileSync(path);
  expect(Buffer.from(bytes).equals(recorded), `differs from tests/sinks/recorded/${name}`).toBe(true);
}

export const recordedText = (name: string): string => readFileSync(new URL(name, RECORDED), "utf8");
