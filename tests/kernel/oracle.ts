/**
 * The running kernel as an oracle: starts oracle.c (compiled on first use) and asks it. Null where there is no C compiler
 * or the kernel does not let this user load programs; tests then use recorded answers.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { toHex } from "../../base/index.ts";
import { encodeInsns, type Insn } from "../../compiler/asm/index.ts";
import { commandRuns } from "./commands.ts";

/** A raw program to run, or, with `type`, a program to judge. */
export interface OracleRequest {
  readonly insns: readonly Insn[];
  readonly memory?: Uint8Array;
  /** 0 … 7: where the memory begins behind an 8-byte boundary, unknown to the verifier */
  readonly misalign?: number;
  /** uapi numbers */
  readonly type?: number;
  readonly attachType?: number;
  readonly license?: string;
  /** type, key and value size, entries, flags; the value of entry 0 where it is frozen with one */
  readonly maps?: readonly OracleMap[];
  /** the whole log at this level is in the answer */
  readonly logLevel?: number;
}

export interface OracleMap {
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly frozenValue?: Uint8Array;
}

export type OracleAnswer =
  /** r0: what a test run gives, 32 bits; hexadecimal */
  | { readonly verdict: "accepted"; readonly r0?: string; readonly mem?: string; readonly log?: string }
  /** errno as a number; the log's last lines unless a level was asked for */
  | { readonly verdict: "rejected"; readonly errno: number; readonly log: string }
  | { readonly error: string; readonly errno?: number };

export interface Oracle extends AsyncDisposable {
  /** Answers in the order of the requests. */
  ask(requests: readonly OracleRequest[]): Promise<OracleAnswer[]>;
  close(): Promise<void>;
}

/** Why there is no oracle here; null: there is one. */
export function oracleProblem(): string | null {
  return program().problem;
}

export function openOracle(): Oracle {
  const { path, problem } = program();
  if (path === null) throw new Error(problem ?? "no oracle");
  return new Process(spawn(path, { stdio: "pipe" }));
}

interface OracleProgram {
  readonly path: string | null;
  readonly problem: string | null;
}
let found: OracleProgram | null = null;

function program(): OracleProgram {
  found ??= findProgram();
  return found;
}

const R0_IS_7 = "b7000000070000009500000000000000";

function findProgram(): OracleProgram {
  if (process.env.BPFJIT_TEST_KERNEL === "0") return { path: null, problem: "BPFJIT_TEST_KERNEL=0" };
  if (process.platform !== "linux") return { path: null, problem: "not Linux" };
  const path = compile();
  if (path === null) return { path: null, problem: "no C compiler with linux/bpf.h" };
  const probe = spawnSync(path, { input: `id=probe insns=${R0_IS_7} mem=00\n`, encoding: "utf8" });
  if (probe.status !== 0 || !probe.stdout.includes('"r0":"7"'))
    return { path: null, problem: `bpf() is not available: ${probe.stdout.trim().slice(0, 200)}` };
  return { path, problem: null };
}

/** Beside this file, or, where this runs from dist/tests/kernel, where it is in the checkout. */
function sourceFile(): string {
  const beside = fileURLToPath(new URL("oracle.c", import.meta.url));
  return existsSync(beside) ? beside : fileURLToPath(new URL("../../../tests/kernel/oracle.c", import.meta.url));
}

/** Into the temporary folder, under the hash of the source; two tests that compile it at once both succeed. */
function compile(): string | null {
  const source = sourceFile();
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), `bpfjit-tests-${process.getuid?.() ?? 0}`);
  const path = join(folder, `oracle-${hash}`);
  if (existsSync(path)) return path;
  const compiler = ["cc", "gcc", "clang"].find((name) => commandRuns(name, ["--version"]));
  if (compiler === undefined) return null;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  if (spawnSync(compiler, ["-O2", "-o", fresh, source], { stdio: "ignore" }).status !== 0) return null;
  renameSync(fresh, path);
  return path;
}

/** Requests under way at a time: enough to keep both processes busy, few enough for any pipe. */
const WINDOW = 64;

class Process implements Oracle {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    child.stdin.on("error", () => {});
    this.#answers = createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })[
      Symbol.asyncIterator
    ]();
  }

  async ask(requests: readonly OracleRequest[]): Promise<OracleAnswer[]> {
    const answers: OracleAnswer[] = [];
    for (let sent = 0; answers.length < requests.length; ) {
      const until = Math.min(requests.length, answers.length + WINDOW);
      let lines = "";
      for (; sent < until; sent++) lines += `${requestLine(requests[sent]!)}\n`;
      if (lines !== "") this.#child.stdin.write(lines);
      // Half a window before the next write, so that the kernel never waits for us.
      for (let taken = 0; taken < WINDOW / 2 && answers.length < sent; taken++) answers.push(await this.#next());
    }
    return answers;
  }

  async #next(): Promise<OracleAnswer> {
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error(`the oracle ended: ${this.#child.exitCode ?? this.#child.signalCode}`);
    return JSON.parse(value) as OracleAnswer;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.exitCode !== null) return resolve();
      this.#child.once("exit", () => resolve());
      this.#child.stdin.end();
    });
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function requestLine(request: OracleRequest): string {
  const words = ["id=0", `insns=${toHex(encodeInsns(request.insns))}`];
  if (request.type === undefined) words.push(`mem=${toHex(request.memory ?? new Uint8Array(0))}`);
  else words.push(`type=${request.type}`);
  if (request.misalign) words.push(`misalign=${request.misalign}`);
  if (request.attachType !== undefined) words.push(`attach=${request.attachType}`);
  if (request.license !== undefined) words.push(`license=${request.license.replace(/ /g, "_")}`);
  if (request.logLevel !== undefined) words.push(`log=${request.logLevel}`);
  for (const map of request.maps ?? []) {
    const numbers = [map.type, map.keySize, map.valueSize, map.maxEntries, map.flags].join(",");
    words.push(`map=${numbers}${map.frozenValue === undefined ? "" : `,${toHex(map.frozenValue)}`}`);
  }
  return words.join(" ");
}
