/**
 * The running kernel as an oracle: programs in text assembly go to kernel.py, which loads and test-runs them. Where bpf() is
 * not to be had, the answers recorded beside a test stand in for it. UPDATE=1 records them anew.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

export interface KernelMap {
  readonly type: number;
  readonly key: number;
  readonly value: number;
  readonly entries: number;
  readonly flags: number;
  /** entry 0, hexadecimal */
  readonly data: string | null;
  readonly freeze: boolean;
}

export interface KernelRun {
  readonly dataIn?: string;
  readonly ctxIn?: string;
  readonly dataOut?: number;
  readonly ctxOut?: number;
  readonly repeat?: number;
  readonly flags?: number;
  readonly cpu?: number;
  /** written to a user ring buffer before the run */
  readonly samples?: {
    readonly map: number;
    readonly producer: number;
    readonly records: readonly (readonly [position: number, bytes: string])[];
  };
}

export interface KernelJob {
  readonly type: number;
  readonly attachType?: number;
  readonly progFlags?: number;
  readonly license: string;
  readonly insns: string;
  readonly btf?: string;
  /** types of the functions that begin at these slots */
  readonly functions?: readonly (readonly [insn: number, type: number])[];
  readonly maps: readonly KernelMap[];
  readonly runs: readonly KernelRun[];
  /** maps whose entry 0 is wanted afterwards */
  readonly read?: readonly number[];
}

export interface KernelRunAnswer {
  readonly errno: number;
  readonly retval: number;
  readonly dataOut: string | null;
  readonly dataSize: number;
  readonly ctxOut: string | null;
  readonly ctxSize: number;
  /** of the user ring buffer that `samples` names */
  readonly consumer?: number;
}

export interface KernelAnswer {
  /** 0 or the errno of BPF_PROG_LOAD */
  readonly load: number;
  readonly log: string;
  readonly runs: readonly KernelRunAnswer[];
  readonly values: Readonly<Record<string, string>>;
}

const DRIVER = fileURLToPath(new URL("./kernel.py", import.meta.url));

export function askKernel(jobs: readonly KernelJob[]): KernelAnswer[] {
  const input = jobs.map((job) => `${JSON.stringify(job)}\n`).join("");
  const output = execFileSync("python3", [DRIVER], { input, encoding: "utf8", maxBuffer: 1 << 28 });
  return output
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** r0 = 0; exit. As an xdp program, since socket filters may be open to everybody where the rest is not. */
const NOTHING = "b7000000000000009500000000000000";

const kernelAvailable: boolean = (() => {
  try {
    return askKernel([{ type: 6, license: "GPL", insns: NOTHING, maps: [], runs: [] }])[0]?.load === 0;
  } catch {
    return false;
  }
})();

/** The recorded answers are those of this version; others may differ in what they take. */
const RECORDED_RELEASE = "6.18.";
export const isRecordedKernel: boolean = kernelAvailable && release().startsWith(RECORDED_RELEASE);

/** Answers recorded in `file`; with UPDATE=1 the kernel's own, which then are recorded. */
export function recordedAnswers<Answer>(file: URL, ask: () => Answer): Answer {
  const path = fileURLToPath(file);
  if (process.env.UPDATE === "1" && kernelAvailable) {
    const answer = ask();
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, `${JSON.stringify(answer, null, 1)}\n`);
    return answer;
  }
  if (!existsSync(path)) throw new Error(`no recorded answers at ${path}; record them with UPDATE=1 as root`);
  return JSON.parse(readFileSync(path, "utf8"));
}
