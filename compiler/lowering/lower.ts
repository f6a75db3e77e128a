/** One program → its functions in the module. */
import { UnsupportedError } from "../../base/errors.ts";
import { HOOKS, programType, takesProgram } from "../../spec/index.ts";
import { CLASS, JMP, PSEUDO_CALL, PSEUDO_LD } from "../../spec/isa.ts";
import { type Insn, isWideImmediate } from "../asm/instruction.ts";
import { POINTER, type Program, type ProgramFacts, type UncheckedProgram, type VerifiedProgram } from "../program.ts";
import { addBatch } from "./batch.ts";
import { requireCallee } from "./calls.ts";
import type { FunctionRange } from "./cfg.ts";
import { checkEncoding } from "./encoding.ts";
import type { FunctionRole } from "./frame.ts";
import { lowerFunction } from "./function.ts";
import { reachesOut } from "./reach.ts";
import { storageOf } from "./storage.ts";
import { RunTimeGuards, UNCHECKED_STACK_BYTES } from "./unchecked.ts";
import { mainName, subprogramName, type Unit } from "./unit.ts";

export type LowerableProgram = VerifiedProgram | UncheckedProgram;

export const isUnchecked = (program: LowerableProgram): program is UncheckedProgram =>
  "unchecked" in program && program.unchecked === true;

/** What must hold before any code is made. Throws UnsupportedError, for unchecked programs VerifierError. */
export function checkProgram(program: LowerableProgram): void {
  if (isUnchecked(program)) checkEncoding(program);
  requireRunnable(program);
  const facts = factsOf(program);
  forEachReached(program, facts, (insnIndex) => {
    const insn = program.insns[insnIndex]!;
    if (insn.opcode === (CLASS.JMP | JMP.CALL) && insn.src !== PSEUDO_CALL.SUBPROG)
      requireCallee(program, insn, insnIndex);
    requireMemory(program, insn, insnIndex, facts?.insns[insnIndex]?.pointer ?? 0);
    const map = mapOf(program, insnIndex);
    if (map === null || storageOf(program, map) !== null) return;
    const type = program.maps[map]?.type ?? "unknown";
    throw new UnsupportedError("UNSUPPORTED_MAP_TYPE", `map type ${type}`, `map type ${type} is not implemented`, {
      where: { program: program.name, section: program.section, insnIndex },
    });
  });
}

/** What only a kernel has: the struct behind a map, its own variables. `pointer`: bits of POINTER. */
function requireMemory({ name, section }: Program, insn: Insn, insnIndex: number, pointer: number): void {
  if (pointer & POINTER.aboveFrame) {
    const feature = "objects above the frame";
    throw new UnsupportedError(
      "UNSUPPORTED_FEATURE",
      feature,
      `${feature}: the kernel reads what is not the program's`,
      {
        where: { program: name, section, insnIndex },
      },
    );
  }
  const isVariable = isWideImmediate(insn) && insn.src === PSEUDO_LD.BTF_ID;
  if (!isVariable && (pointer & POINTER.map) === 0) return;
  const feature = isVariable ? "address of a kernel variable" : "fields of a map";
  throw new UnsupportedError("UNSUPPORTED_FEATURE", feature, `${feature}: there is no kernel to read them from`, {
    where: { program: name, section, insnIndex },
  });
}

/** bpfjit judges more types of programs than it runs, and of some types not those of every attach type. */
function requireRunnable({ name, section, type, attachType }: Program): void {
  const isHooked = HOOKS.some((hook) => takesProgram(hook, type, attachType));
  if (programType(type).runs && isHooked) return;
  const what = programType(type).runs ? `${type} and attach type ${attachType}` : type;
  throw new UnsupportedError(
    "UNSUPPORTED_PROGRAM_TYPE",
    `program type ${what}`,
    `programs of type ${what} are judged, but not run yet`,
    { where: { program: name, section } },
  );
}

export interface LoweredFunction {
  /** its name in the module */
  readonly name: string;
  /** with those of the subprograms it calls, at each call: they may be put in its place */
  readonly insns: number;
}

export interface LowerOptions {
  /** give the batch loop a copy of small programs, which binaryen inlines: the call would cost as much as some programs */
  readonly inlineIntoBatch: boolean;
}

/** Instructions of a main function up to which it is worth having twice. */
const INLINED_INSNS = 400;

/** Adds the program's functions and exports. */
export function lowerProgram(unit: Unit, program: LowerableProgram, options: LowerOptions): LoweredFunction[] {
  const facts = factsOf(program);
  const guards = isUnchecked(program) ? new RunTimeGuards(unit, program) : null;
  const ranges = functionRanges(program);
  const sizes = inlinedSizes(program, ranges);
  const lower = (
    index: number,
    name: string,
    role: FunctionRole = index === 0 ? "main" : "subprogram",
  ): LoweredFunction => {
    const range = ranges[index]!;
    lowerFunction(unit, {
      program,
      facts,
      range,
      role,
      stackBytes: facts === null ? UNCHECKED_STACK_BYTES : (facts.stackBytes[index] ?? 0),
      guards,
      name,
    });
    return { name, insns: sizes[index]! };
  };
  const main = mainName(program.name);
  const functions = ranges.map((range, index) =>
    lower(index, index === 0 ? main : subprogramName(program.name, range.first)),
  );
  // Only a program that is not verified calls its own first function: the verifier refuses recursion.
  if (callsMain(program)) functions.push(lower(0, subprogramName(program.name, 0), "subprogram"));
  unit.wasm.m.addFunctionExport(main, main);
  const isInlined = options.inlineIntoBatch && guards === null && functions[0]!.insns <= INLINED_INSNS;
  const callee = isInlined ? lower(0, `copy:${program.name}`).name : main;
  addBatch(unit, { program: program.name, callee, reachesOut: reachesOut(program, facts) });
  return functions;
}

/** Depth of calls that a verified program has at most; one that is not may call itself, which is never put in its place. */
const CALL_DEPTH = 8;

/** Instructions of each function, with those of what it calls instead of the calls. */
function inlinedSizes({ insns }: Program, ranges: readonly FunctionRange[]): number[] {
  const indexes = new Map(ranges.map(({ first }, index) => [first, index]));
  const calls = ranges.map(({ first, end }) => {
    const called: number[] = [];
    for (let index = first; index < end; index++) {
      const { opcode, src, imm } = insns[index]!;
      if (opcode === (CLASS.JMP | JMP.CALL) && src === PSEUDO_CALL.SUBPROG) called.push(indexes.get(index + 1 + imm)!);
    }
    return called;
  });
  const own = ranges.map(({ first, end }) => end - first);
  let sizes = own;
  for (let depth = 1; depth < CALL_DEPTH; depth++)
    sizes = own.map((size, index) => calls[index]!.reduce((sum, callee) => sum + sizes[callee]!, size));
  return sizes;
}

const callsMain = (program: Program): boolean =>
  program.insns.some(
    ({ opcode, src, imm }, index) =>
      opcode === (CLASS.JMP | JMP.CALL) && src === PSEUDO_CALL.SUBPROG && index + 1 + imm === 0,
  );

export const factsOf = (program: LowerableProgram): ProgramFacts | null =>
  isUnchecked(program) ? null : program.facts;

/** Instructions of each function, main first. */
export function functionRanges(program: Program): FunctionRange[] {
  const starts = program.functions.map((entry) => entry.insnIndex);
  if (starts[0] !== 0) starts.unshift(0);
  return starts.map((first, index) => ({ first, end: starts[index + 1] ?? program.insns.length }));
}

export function forEachReached(program: Program, facts: ProgramFacts | null, visit: (insnIndex: number) => void): void {
  for (let index = 0; index < program.insns.length; index++) {
    if (facts === null || facts.insns[index] !== null) visit(index);
    if (isWideImmediate(program.insns[index]!)) index++;
  }
}

/** The map that a 64-bit immediate names. */
export function mapOf(program: Program, insnIndex: number): number | null {
  const insn = program.insns[insnIndex]!;
  if (!isWideImmediate(insn)) return null;
  switch (insn.src) {
    case PSEUDO_LD.MAP_FD:
    case PSEUDO_LD.MAP_IDX:
    case PSEUDO_LD.MAP_VALUE:
    case PSEUDO_LD.MAP_IDX_VALUE:
      return insn.imm;
  }
  return null;
}
