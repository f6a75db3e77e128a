/**
 * Makes a program whose verdicts differ small: instructions become `goto +0` for as long as the difference stays, and are
 * then cut out. What counts as the same difference is the caller's.
 */
import type { Insn } from "../../compiler/asm/index.ts";
import { isWideImmediate } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/program.ts";
import { CLASS, JMP, PSEUDO_CALL, PSEUDO_LD } from "../../spec/isa.ts";

const NOTHING: Insn = { opcode: CLASS.JMP | JMP.JA, dst: 0, src: 0, off: 0, imm: 0 };

/** `differs` judges many candidates at a time, which is cheaper than one by one. */
export function minimise(program: Program, differs: (candidates: readonly Program[]) => boolean[]): Program {
  let smallest = program;
  for (let chunk = Math.ceil(program.insns.length / 2); chunk >= 1; chunk = chunk > 1 ? Math.ceil(chunk / 2) : 0) {
    smallest = pass(smallest, chunk, differs);
  }
  for (let before = Number.POSITIVE_INFINITY; count(smallest) < before; ) {
    before = count(smallest);
    smallest = pass(smallest, 1, differs);
  }
  const shorter = without(smallest, isNothing);
  return differs([shorter])[0] === true ? shorter : cutOneByOne(smallest, differs);
}

/** Where jumps matter to the difference (they end pieces that are pruned), some blanks must stay. */
function cutOneByOne(program: Program, differs: (candidates: readonly Program[]) => boolean[]): Program {
  let current = program;
  for (let at = program.insns.length - 1; at >= 0; at--) {
    const blank = current.insns[at]!;
    if (!isNothing(blank)) continue;
    const candidate = without(current, (_, index) => index === at);
    if (differs([candidate])[0] === true) current = candidate;
  }
  return current;
}

const count = (program: Program): number => program.insns.filter((insn) => !isNothing(insn)).length;
const isNothing = (insn: Insn): boolean => insn.opcode === NOTHING.opcode && insn.off === 0;

/** Blanks pieces of `chunk` instructions, each for itself, and keeps the first that may go until none may. */
function pass(program: Program, chunk: number, differs: (candidates: readonly Program[]) => boolean[]): Program {
  let current = program;
  for (let from = 0; from < current.insns.length; ) {
    const starts: number[] = [];
    for (let at = from; at < current.insns.length && starts.length < 32; at += chunk) starts.push(at);
    const candidates = starts.map((at) => blanked(current, at, chunk));
    const results = differs(candidates);
    const found = results.indexOf(true);
    if (found < 0) from = starts.at(-1)! + chunk;
    else {
      current = candidates[found]!;
      from = starts[found]! + chunk;
    }
  }
  return current;
}

function blanked(program: Program, from: number, length: number): Program {
  const insns = [...program.insns];
  const end = Math.min(insns.length, from + length);
  for (let at = from; at < end; at++) {
    // A 64-bit immediate goes as a whole or not at all.
    if (at > 0 && isWideImmediate(program.insns[at - 1]!) && at === from) continue;
    if (isWideImmediate(insns[at]!)) {
      if (at + 1 >= end && length > 1) continue;
      if (at + 1 < insns.length) insns[at + 1] = NOTHING;
      insns[at] = NOTHING;
      at++;
      continue;
    }
    insns[at] = NOTHING;
  }
  return { ...program, insns };
}

/** Cuts instructions out and mends jumps, calls and the places of functions. */
function without(program: Program, isCut: (insn: Insn, at: number) => boolean): Program {
  const places: number[] = [];
  let length = 0;
  program.insns.forEach((insn, at) => {
    places.push(length);
    if (!isCut(insn, at)) length++;
  });
  places.push(length);
  const insns: Insn[] = [];
  program.insns.forEach((insn, at) => {
    if (!isCut(insn, at)) insns.push(mended(insn, at, places));
  });
  const functions = program.functions.map((known) => ({ ...known, insnIndex: places[known.insnIndex]! }));
  return { ...program, insns, functions };
}

function mended(insn: Insn, at: number, places: readonly number[]): Insn {
  const move = (distance: number): number => (places[at + 1 + distance] ?? places.at(-1)!) - places[at]! - 1;
  const kind = insn.opcode & 7;
  const isReference =
    (isWideImmediate(insn) && insn.src === PSEUDO_LD.FUNC) ||
    (insn.opcode === (CLASS.JMP | JMP.CALL) && insn.src === PSEUDO_CALL.SUBPROG) ||
    insn.opcode === (CLASS.JMP32 | JMP.JA);
  if (isReference) return { ...insn, imm: move(insn.imm) };
  const op = insn.opcode & 0xf0;
  const isJump = (kind === CLASS.JMP && op !== JMP.CALL && op !== JMP.EXIT) || (kind === CLASS.JMP32 && op !== JMP.JA);
  return isJump ? { ...insn, off: move(insn.off) } : insn;
}
