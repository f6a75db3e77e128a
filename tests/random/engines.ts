/** Engines that random programs run on. An outcome is what is compared: r0 and the memory, or why there is none. */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { ExecRequest } from "../../api/exec.ts";
import { toHex } from "../../base/index.ts";
import { encodeInsns, type Insn } from "../../compiler/asm/index.ts";
import * as isa from "../../spec/isa.ts";
import { type Oracle, type OracleAnswer, openOracle } from "../kernel/oracle.ts";
import { interpret } from "../reference/interpret.ts";
import type { RandomProgram } from "./generate.ts";

export type RandomOutcome =
  /** memory in hexadecimal; the kernel gives the low 32 bits of r0 only */
  { readonly r0: bigint; readonly memory: string } | { readonly problem: string };

export interface RandomEngine extends AsyncDisposable {
  readonly name: string;
  run(programs: readonly RandomProgram[]): Promise<RandomOutcome[]>;
}

export function kernelEngine(): RandomEngine {
  const oracle: Oracle = openOracle();
  return {
    name: "kernel",
    run: async (programs) => (await oracle.ask(programs)).map(kernelOutcome),
    [Symbol.asyncDispose]: () => oracle.close(),
  };
}

function kernelOutcome(answer: OracleAnswer): RandomOutcome {
  if (!("verdict" in answer)) return { problem: answer.error };
  if (answer.verdict === "accepted") return { r0: BigInt(`0x${answer.r0}`), memory: answer.mem! };
  return { problem: `rejected ${answer.errno}: ${answer.log.trimEnd().split("\n").slice(-3).join(" | ")}` };
}

/** `ran` is told how often each instruction of a program ran. */
export function referenceEngine(ran?: (program: RandomProgram, times: Uint32Array) => void): RandomEngine {
  return {
    name: "reference",
    run: async (programs) =>
      programs.map((program) => {
        const times = new Uint32Array(program.insns.length);
        const { r0, memory } = interpret(program.insns, program.memory, {
          trace: (insnIndex) => {
            times[insnIndex]!++;
          },
        });
        ran?.(program, times);
        return { r0, memory: toHex(memory) };
      }),
    [Symbol.asyncDispose]: async () => {},
  };
}

type ExecProcess = ChildProcessByStdio<Writable, Readable, null>;

/** `bpfjit exec --batch`, the command as a user runs it: `command` is its file, `node` runs it. */
export function execEngine(command: string): RandomEngine {
  const child: ExecProcess = spawn(process.execPath, [command, "exec", "--batch"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  // That it ended is found when its answers are read.
  child.stdin.on("error", () => {});
  const lines = createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  return {
    name: "exec",
    run: async (programs) => {
      for (const program of programs) child.stdin.write(`${execLine(program)}\n`);
      const answers = new Map<number, ExecAnswer>();
      while (answers.size < programs.length) {
        const { value, done } = await lines.next();
        if (done === true) throw new Error("bpfjit exec ended before it answered");
        const answer = JSON.parse(value) as ExecAnswer;
        answers.set(answer.id, answer);
      }
      return programs.map((program) => execOutcome(program, answers.get(program.seed)));
    },
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.stdin.end();
      }),
  };
}

interface ExecAnswer {
  readonly id: number;
  readonly r0?: string;
  readonly mem?: string;
  readonly error?: string;
  readonly message?: string;
}

/**
 * Memory of exec is aligned. For a program that wants it otherwise, r1 is moved on first: the verifier sees that and
 * would refuse the atomics, so it runs unverified, every access checked.
 */
export function execProgram({ insns, memory, misalign }: RandomProgram): ExecRequest {
  if (misalign === 0) return { insns: encodeInsns(insns), memory, verify: true };
  const prefix: Insn[] = [
    { opcode: isa.CLASS.ALU64 | isa.ALU.ADD, dst: 1, src: 0, off: 0, imm: misalign },
    { opcode: isa.CLASS.ALU64 | isa.ALU.MOV, dst: 2, src: 0, off: 0, imm: memory.length },
  ];
  const padded = new Uint8Array(misalign + memory.length);
  padded.set(memory, misalign);
  return { insns: encodeInsns([...prefix, ...insns]), memory: padded, verify: false };
}

function execLine(program: RandomProgram): string {
  const { insns, memory, verify } = execProgram(program);
  return JSON.stringify({ id: program.seed, insns: toHex(insns), mem: toHex(memory), verify });
}

function execOutcome(program: RandomProgram, answer: ExecAnswer | undefined): RandomOutcome {
  if (answer?.r0 === undefined) return { problem: `${answer?.error}: ${answer?.message}` };
  return { r0: BigInt(`0x${answer.r0}`), memory: (answer.mem ?? "").slice(2 * program.misalign) };
}
