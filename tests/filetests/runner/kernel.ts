/**
 * The kernel in the place of our own verifier: the same cases, so that what a file expects is what the kernel does.
 * Raw programs are loaded as socket filters behind a prefix that makes r1 and r2; what the log calls them differs then.
 */
import { fileURLToPath } from "node:url";
import { VerifierError } from "../../../base/index.ts";
import type { Program, VerifiedProgram } from "../../../compiler/program.ts";
import { type ErrnoName, errnoName } from "../../../spec/errno.ts";
import { calleeOf, OWN_KFUNC, programType } from "../../../spec/index.ts";
import { CLASS, JMP, MODE, PSEUDO_CALL, PSEUDO_LD, SIZE } from "../../../spec/isa.ts";
import type { Oracle } from "../../kernel/oracle.ts";
import { type KernelVerdict, kernelVerdicts, lastMessage } from "../../verifier/kernel/kernel.ts";
import type { Directive, TestCase } from "./case.ts";
import type { Engines, RunEngine, Verdict } from "./engines.ts";
import type { Expectation } from "./expectation.ts";
import { hasOwnIds } from "./target.ts";

/** Why the kernel cannot be asked about a case as it is; null: it can. */
export function kernelCannot(test: TestCase): string | null {
  const { program } = test;
  if (test.directives.some(({ expectation }) => expectation.kind === "unsupported")) return "bpfjit's own verdict";
  if (program.type === "raw" && program.maps.length > 0) return "raw with maps";
  if (program.maps.some((map) => map.type === "insn_array")) return "maps of instructions";
  if (programType(program.type).id < 0 && program.type !== "raw") return "a type of bpfjit's own";
  if (program.insns.some((insn) => insn.off === OWN_KFUNC && calleeOf(insn) !== undefined))
    return "a function of bpfjit's own";
  if (!test.directives.some(comparable)) return "nothing that the kernel knows";
  if (!hasOwnIds() && namesKernelTypes(program)) return "types of another kernel";
  return null;
}

/** By number, in what it attaches to, calls or loads. */
const namesKernelTypes = ({ attachBtf, insns }: Program): boolean =>
  attachBtf !== undefined ||
  insns.some(
    ({ opcode, src }) =>
      (opcode === CALL && src === PSEUDO_CALL.KFUNC) || (opcode === WIDE_LOAD && src === PSEUDO_LD.BTF_ID),
  );
const CALL = CLASS.JMP | JMP.CALL;
const WIDE_LOAD = CLASS.LD | MODE.IMM | SIZE.DW;

const comparable = ({ expectation }: Directive): boolean => {
  if (expectation.kind === "run") return !expectation.input.unchecked && expectation.input.data === null;
  return expectation.kind !== "wat";
};

/** The case with what the kernel can answer: no Wasm text, and of raw programs no texts and states. */
export function kernelCase(test: TestCase): TestCase {
  const raw = test.program.type === "raw";
  const directives = test.directives
    .filter(comparable)
    .filter(({ expectation }) => !(expectation.kind === "run" && !raw))
    .filter(({ expectation }) => !(expectation.kind === "state" && raw))
    .map((directive) => ({ ...directive, expectation: asKernelSees(directive.expectation, raw) }));
  return {
    ...test,
    kind: directives.some(({ expectation }) => expectation.kind === "run") ? "run" : "verify",
    directives,
  };
}

/** A test run gives 32 bits of r0. */
function asKernelSees(expectation: Expectation, raw: boolean): Expectation {
  if (raw && expectation.kind === "reject") return { ...expectation, text: "" };
  if (expectation.kind !== "run" || expectation.output.r0 === null) return expectation;
  return { ...expectation, output: { ...expectation.output, r0: BigInt.asUintN(32, expectation.output.r0) } };
}

/** Verdicts on what kernelCannot() does not rule out, by program, of all cases at once; states are in their logs. */
export function askVerdicts(cases: readonly TestCase[]): ReadonlyMap<Program, KernelVerdict> {
  const programs = cases.map(({ program }) => program).filter(({ type }) => type !== "raw");
  const verdicts = kernelVerdicts(programs, LOADER, LOG_LEVEL)!;
  return new Map(programs.map((program, index) => [program, verdicts[index]!]));
}

const LOADER = fileURLToPath(new URL("../../verifier/kernel/load.c", import.meta.url));
const LOG_LEVEL = 2;

export function kernelEngines(oracle: Oracle, verdicts: ReadonlyMap<Program, KernelVerdict>): Engines {
  const run: RunEngine = {
    name: "kernel",
    takes: (program) => program.type === "raw",
    run: async (program, input) => {
      const memory = input.memory ?? new Uint8Array(program.memoryBytes);
      const [answer] = await oracle.ask([{ insns: program.insns, memory }]);
      if (answer === undefined || !("r0" in answer))
        throw new Error(`the kernel does not run it: ${JSON.stringify(answer)}`);
      return { r0: BigInt(`0x${answer.r0}`), bytes: Uint8Array.from(Buffer.from(answer.mem ?? "", "hex")) };
    },
  };
  return {
    verify: (program, options) => {
      const verdict = verdicts.get(program);
      return verdict === undefined ? rawVerdict(oracle, program, options.logLevel) : verdictOf(program, verdict);
    },
    runs: [run],
    wat: () => Promise.reject(new Error("the kernel makes no Wasm")),
  };
}

function verdictOf(program: Program, { errno, log, message }: KernelVerdict): Verdict {
  if (errno === null) return { verdict: "accepted", program: program as VerifiedProgram, log };
  return rejected(message ?? "", errno as ErrnoName, log, lastInsn(log.trimEnd().split("\n")));
}

async function rawVerdict(oracle: Oracle, program: Program, logLevel: number): Promise<Verdict> {
  const memory = new Uint8Array(program.memoryBytes);
  const [answer] = await oracle.ask([{ insns: program.insns, memory, logLevel: Math.max(logLevel, 1) }]);
  if (answer === undefined || !("verdict" in answer)) throw new Error(`the kernel does not judge it: ${answer?.error}`);
  const log = answer.log ?? "";
  if (answer.verdict === "accepted") return { verdict: "accepted", program: program as VerifiedProgram, log };
  return rejected(lastMessage(log) ?? "", errnoName(answer.errno), log, null);
}

function rejected(message: string, errno: ErrnoName | null, log: string, insnIndex: number | null): Verdict {
  const where = insnIndex === null ? {} : { insnIndex };
  const detail = { ...(errno !== null && { errno }), log, processedInsns: 0, where };
  return { verdict: "rejected", error: new VerifierError(message, detail), log };
}

/** The instruction that the log was at when it ended. */
function lastInsn(lines: readonly string[]): number | null {
  for (const line of [...lines].reverse()) {
    const match = /^(\d+): \([0-9a-f]{2}\)/.exec(line);
    if (match !== null) return Number(match[1]);
  }
  return null;
}
