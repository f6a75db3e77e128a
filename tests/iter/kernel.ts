/** The kernel's answers to scenarios, through kernel.c and libbpf. Null where one of them cannot be had. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { compileC } from "../kernel/compile-c.ts";
import { CPUS, OBJECT } from "./commands.ts";

const SOURCE = fileURLToPath(new URL("kernel.c", import.meta.url));
let reader: string | null | undefined;

export function askKernel(commands: readonly string[]): string[] | null {
  reader ??= compiled();
  return reader === null ? null : run(reader, commands);
}

function compiled(): string | null {
  const path = compileC(SOURCE, "-lbpf");
  // of per-CPU maps the values of all CPUs are compared
  return path !== null && run(path, ["cpus"])?.[0] === `ok ${CPUS}` ? path : null;
}

function run(path: string, commands: readonly string[]): string[] | null {
  const { stdout } = spawnSync(path, [OBJECT], {
    input: `${commands.join("\n")}\n`,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  const answers = stdout.trimEnd().split("\n");
  return answers.length === commands.length ? answers.map((answer) => answer.trimEnd()) : null;
}
