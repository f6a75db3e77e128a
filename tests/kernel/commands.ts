/** Which outside commands this machine has; tests that need one are skipped, visibly, without it. */
import { spawnSync } from "node:child_process";

export function commandRuns(name: string, args: readonly string[]): boolean {
  return spawnSync(name, args, { stdio: "ignore" }).status === 0;
}
