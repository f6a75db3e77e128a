/** What tests of live processes need of the machine; where it is missing they are skipped, and say so. */
import { accessSync, constants } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = "/sys/kernel/tracing";

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

export const canTrace = process.platform === "linux" && process.getuid?.() === 0 && isWritable(`${ROOT}/instances`);
export const canProbe = canTrace && process.arch === "x64" && isWritable(`${ROOT}/uprobe_events`);

export const fixture = (name: string): string => fileURLToPath(new URL(`probed/${name}`, import.meta.url));
/** The built command. */
export const COMMAND = fileURLToPath(new URL("../../dist/bin/bpfjit.js", import.meta.url));
