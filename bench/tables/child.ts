/** Measurements that need a process of their own: start-up, memory, and compiling with nothing warm. */
import { spawn } from "node:child_process";
import { BugError } from "../../base/index.ts";
import { asset } from "../assets.ts";

export interface ChildResult {
  /** from spawn to exit */
  readonly ms: number;
  readonly stdout: string;
}

/** Runs Node with these arguments and waits for its end. */
export function runNode(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<ChildResult> {
  return new Promise((resolve, reject) => {
    const started = process.hrtime.bigint();
    const child = spawn(process.execPath, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NODE_OPTIONS: "", BPFJIT_CACHE: "", ...environment },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const ms = Number(process.hrtime.bigint() - started) / 1e6;
      if (code === 0) resolve({ ms, stdout });
      else reject(new BugError(`node ${args.join(" ")} ended with ${code}: ${stderr.trim()}`));
    });
  });
}

/** Runs one of bench/children/ and reads the JSON that it prints. */
export async function askChild<Answer>(name: string, args: readonly string[] = []): Promise<Answer> {
  const path = asset(`lib/bench/children/${name}.js`);
  return JSON.parse((await runNode(["--expose-gc", path, ...args])).stdout) as Answer;
}
