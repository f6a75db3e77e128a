/** Programs in C that ask the running kernel for a test: compiled when they are needed, gone with the process. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const COMPILERS = ["cc", "gcc", "clang", "clang-19"] as const;

/** Path of the program; null where there is no compiler, or one without the headers and libraries that it wants. */
export function compileC(source: string, ...options: readonly string[]): string | null {
  const folder = mkdtempSync(join(tmpdir(), "bpfjit-c-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "program");
  const made = COMPILERS.some((name) => spawnSync(name, ["-O1", "-o", path, source, ...options]).status === 0);
  return made ? path : null;
}
