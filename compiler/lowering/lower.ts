/** One program → its functions in the module, and what its manifest says. */
import { UnsupportedError } from "../../base/errors.ts";
import { type ProgramManifest, programType } from "../../spec/index.ts";
import { CLASS, JMP, PSEUDO_CALL, PSEUDO_LD, SIZE_BYTES } from "../../spec/isa.ts";
import { isWideImmediate } from "../asm/instruction.ts";
import type { Program, ProgramFacts, UncheckedProgram, VerifiedProgram } from "../program.ts";
import { addBatch } from "./batch.ts";
import { storageOf, supportedHelper } from "./calls.ts";
import type { FunctionRange } from "./cfg.ts";
import { checkEncoding } from "./encoding.ts";
import { lowerFunction } from "./function.ts";
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
      supportedHelper(program, insn, insnIndex);
    const map = mapOf(program, insnIndex);
    if (map === null || storageOf(program, map) !== null) return;
    const type = program.maps[map]?.type ?? "unknown";
    throw new UnsupportedError("UNSUPPORTED_MAP_TYPE", `map type ${type}`, `map type ${type} is not implemented`, {
      where: { program: program.name, section: program.section, insnIndex },
    });
  });
}

/** bpfjit judges more types of programs than it runs. */
function requireRunnable({ name, section, type }: Program): void {
  if (programType(type).runs) return;
  const message = `programs of type ${type} are judged, but not run yet`;
  throw new UnsupportedError("UNSUPPORTED_PROGRAM_TYPE", `program type ${type}`, message, {
    where: { program: name, section },
  });
}

export interface LoweredFunction {
  /** its name in the module */
  readonly name: string;
  readonly insns: number;
}

/** Adds the program's functions and exports. */
export function lowerProgram(unit: Unit, program: LowerableProgram): LoweredFunction[] {
  const facts = factsOf(program);
  const guards = isUnchecked(program) ? new RunTimeGuards(unit, program) : null;
  const functions = functionRanges(program).map((range, index) => {
    const name = index === 0 ? mainName(program.name) : subprogramName(program.name, range.first);
    lowerFunction(unit, {
      program,
      facts,
      range,
      role: index === 0 ? "main" : "subprogram",
      stackBytes: facts === null ? UNCHECKED_STACK_BYTES : (facts.stackBytes[index] ?? 0),
      guards,
      name,
    });
    return { name, insns: range.end - range.first };
  });
  unit.wasm.m.addFunctionExport(mainName(program.name), mainName(program.name));
  addBatch(unit, program.name);
  return functions;
}

export function describeProgram(program: LowerableProgram): ProgramManifest {
  const helpers = new Set<string>();
  const maps = new Set<number>();
  forEachReached(program, factsOf(program), (insnIndex) => {
    const insn = program.insns[insnIndex]!;
    if (insn.opcode === (CLASS.JMP | JMP.CALL) && insn.src === PSEUDO_CALL.HELPER)
      helpers.add(supportedHelper(program, insn, insnIndex).name);
    const map = mapOf(program, insnIndex);
    if (map !== null) maps.add(map);
  });
  return {
    name: program.name,
    section: program.section,
    type: program.type,
    attachType: program.attachType,
    attachTarget: program.attachTarget,
    autoload: program.autoload,
    insns: program.insns.length,
    ...(program.type === "raw" ? { memoryBytes: program.memoryBytes } : {}),
    ...(isTracepoint(program) ? { ctxBytes: ctxBytesRead(program) } : {}),
    ...(isTracepoint(program) && program.ctxType !== undefined ? { ctxType: program.ctxType } : {}),
    helpers: [...helpers].sort(),
    maps: [...maps].sort((a, b) => a - b),
    records: [],
  };
}

const isTracepoint = (program: Program): boolean => program.type === "tracepoint" || program.type === "raw_tracepoint";

/** Where the last byte of the ctx that some path reads lies. Kernel: check_ctx_access(), max_ctx_offset. */
function ctxBytesRead(program: LowerableProgram): number {
  const facts = factsOf(program);
  return program.insns.reduce((most, insn, index) => {
    const offset = facts?.insns[index]?.ctxOffset ?? null;
    return offset === null ? most : Math.max(most, offset + SIZE_BYTES[insn.opcode & 0x18]!);
  }, 0);
}

export const factsOf = (program: LowerableProgram): ProgramFacts | null =>
  isUnchecked(program) ? null : program.facts;

/** Instructions of each function, main first. */
export function functionRanges(program: Program): FunctionRange[] {
  const starts = program.functions.map((entry) => entry.insnIndex);
  if (starts[0] !== 0) starts.unshift(0);
  return starts.map((first, index) => ({ first, end: starts[index + 1] ?? program.insns.length }));
}

function forEachReached(program: Program, facts: ProgramFacts | null, visit: (insnIndex: number) => void): void {
  for (let index = 0; index < program.insns.length; index++) {
    if (facts === null || facts.insns[index] !== null) visit(index);
    if (isWideImmediate(program.insns[index]!)) index++;
  }
}

/** The map that a 64-bit immediate names. */
function mapOf(program: Program, insnIndex: number): number | null {
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
