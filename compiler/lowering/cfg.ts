/**
 * The control-flow graph of one function: basic blocks in reverse postorder, edges as typed arrays, so that a program of a
 * million instructions costs a few arrays and no recursion. Only blocks that can be reached are in it.
 */

import * as isa from "../../spec/isa.ts";
import { insnClass, isWideImmediate } from "../asm/instruction.ts";
import type { Program, ProgramFacts } from "../program.ts";
import type { Arm } from "./arms.ts";

/** How a block ends. The block's range excludes the jump or exit itself; `insnIndex` is a conditional jump's. */
export type BlockEnd =
  | { readonly kind: "exit" }
  /** nothing valid follows */
  | { readonly kind: "trap" }
  | { readonly kind: "jump"; readonly to: number }
  | { readonly kind: "branch"; readonly insnIndex: number; readonly taken: number; readonly fallthrough: number }
  /** goes where a dispatch variable says (reducible.ts) */
  | { readonly kind: "dispatch"; readonly variable: number; readonly targets: readonly number[] };

/** A value that a dispatch variable takes. */
export interface Selection {
  readonly variable: number;
  readonly value: number;
}

export interface Block {
  /** instructions [first, end) are the block's statements */
  readonly first: number;
  readonly end: number;
  /** what to select before the jump to a dispatch block, null elsewhere */
  readonly select: Selection | null;
  /** what follows the statements under a condition, see arms.ts */
  readonly arm?: Arm;
  readonly exit: BlockEnd;
}

/** Blocks in reverse postorder; the entry is block 0. */
export interface Cfg {
  readonly blocks: readonly Block[];
  readonly successors: readonly (readonly number[])[];
  readonly predecessors: readonly (readonly number[])[];
}

export interface FunctionRange {
  readonly first: number;
  readonly end: number;
}

/** The graph of the function that occupies `range`. Encodings must have been checked: a jump leads to an instruction of it. */
export function buildCfg(program: Program, range: FunctionRange, facts: ProgramFacts | null): Cfg {
  const leaders = findLeaders(program, range);
  const blockAt = new Int32Array(range.end - range.first).fill(-1);
  const blocks: Block[] = [];
  let first = range.first;
  while (first < range.end) {
    const { block, next } = readBlock(program, range, facts, leaders, first);
    blockAt[first - range.first] = blocks.length;
    blocks.push(block);
    first = next;
  }
  const resolve = (insnIndex: number): number => blockAt[insnIndex - range.first] ?? -1;
  return orderCfg(
    blocks.map((block) => ({ ...block, exit: retarget(block.exit, resolve) })),
    0,
  );
}

/** Blocks in any order → those reachable from `entry` in reverse postorder, with their edges. */
export function orderCfg(blocks: readonly Block[], entry: number): Cfg {
  const order = reversePostorder(blocks, entry);
  const position = new Int32Array(blocks.length).fill(-1);
  order.forEach((block, index) => {
    position[block] = index;
  });
  const ordered = order.map((index) => {
    const block = blocks[index]!;
    return { ...block, exit: retarget(block.exit, (target) => position[target]!) };
  });
  const successors = ordered.map((block) => successorsOf(block.exit));
  const predecessors: number[][] = ordered.map(() => []);
  successors.forEach((targets, index) => {
    for (const target of targets) predecessors[target]!.push(index);
  });
  return { blocks: ordered, successors, predecessors };
}

/** Distinct targets of a block's end. */
export function successorsOf(exit: BlockEnd): readonly number[] {
  switch (exit.kind) {
    case "exit":
    case "trap":
      return [];
    case "jump":
      return [exit.to];
    case "branch":
      return [exit.fallthrough, exit.taken];
    case "dispatch":
      return exit.targets;
  }
}

/** The same end with every target replaced; a branch whose targets become one is a jump, target -1 a trap. */
export function retarget(exit: BlockEnd, target: (block: number) => number): BlockEnd {
  switch (exit.kind) {
    case "exit":
    case "trap":
      return exit;
    case "jump":
      return jumpTo(target(exit.to));
    case "branch": {
      const taken = target(exit.taken);
      const fallthrough = target(exit.fallthrough);
      if (taken === fallthrough || fallthrough < 0) return jumpTo(taken);
      if (taken < 0) return jumpTo(fallthrough);
      return { ...exit, taken, fallthrough };
    }
    case "dispatch":
      return { ...exit, targets: exit.targets.map(target) };
  }
}

const jumpTo = (to: number): BlockEnd => (to < 0 ? { kind: "trap" } : { kind: "jump", to });

/** Where a jump leads: slot index. Null where the instruction is no jump inside a function. */
export function jumpTarget(program: Program, insnIndex: number): number | null {
  const insn = program.insns[insnIndex]!;
  const class_ = insnClass(insn);
  if (class_ !== isa.CLASS.JMP && class_ !== isa.CLASS.JMP32) return null;
  const operation = insn.opcode & 0xf0;
  if (operation === isa.JMP.CALL || operation === isa.JMP.EXIT) return null;
  const isLong = class_ === isa.CLASS.JMP32 && operation === isa.JMP.JA;
  return insnIndex + 1 + (isLong ? insn.imm : insn.off);
}

/** Slots of the instruction at `insnIndex`. */
const slotsAt = (program: Program, insnIndex: number): number => (isWideImmediate(program.insns[insnIndex]!) ? 2 : 1);

function findLeaders(program: Program, range: FunctionRange): Uint8Array {
  const leaders = new Uint8Array(range.end - range.first + 1);
  leaders[0] = 1;
  for (let index = range.first; index < range.end; index += slotsAt(program, index)) {
    const target = jumpTarget(program, index);
    if (target !== null) leaders[target - range.first] = 1;
  }
  return leaders;
}

function readBlock(
  program: Program,
  range: FunctionRange,
  facts: ProgramFacts | null,
  leaders: Uint8Array,
  first: number,
): { readonly block: Block; readonly next: number } {
  let index = first;
  while (index < range.end) {
    if (facts !== null && facts.insns[index] === null) {
      // No path gets here. What follows starts a block of its own, which is dropped unless something leads to it.
      return {
        block: { first, end: index, select: null, exit: { kind: "trap" } },
        next: nextLeader(leaders, range, index),
      };
    }
    const insn = program.insns[index]!;
    const target = jumpTarget(program, index);
    if (target !== null) {
      const exit = jumpEnd(program, range, facts, index, target);
      return { block: { first, end: index, select: null, exit }, next: index + 1 };
    }
    if (insn.opcode === (isa.CLASS.JMP | isa.JMP.EXIT))
      return { block: { first, end: index, select: null, exit: { kind: "exit" } }, next: index + 1 };
    index += slotsAt(program, index);
    if (index < range.end && leaders[index - range.first] === 1)
      return { block: { first, end: index, select: null, exit: { kind: "jump", to: index } }, next: index };
  }
  return { block: { first, end: range.end, select: null, exit: { kind: "trap" } }, next: range.end };
}

function nextLeader(leaders: Uint8Array, range: FunctionRange, from: number): number {
  let index = from + 1;
  while (index < range.end && leaders[index - range.first] !== 1) index++;
  return index;
}

function jumpEnd(
  program: Program,
  range: FunctionRange,
  facts: ProgramFacts | null,
  insnIndex: number,
  target: number,
): BlockEnd {
  if ((program.insns[insnIndex]!.opcode & 0xf0) === isa.JMP.JA) return { kind: "jump", to: target };
  const fallthrough = insnIndex + 1;
  const known = facts?.insns[insnIndex]?.branch ?? null;
  if (known === "taken") return { kind: "jump", to: target };
  if (known === "fallthrough" || fallthrough >= range.end) return { kind: "jump", to: fallthrough };
  return { kind: "branch", insnIndex, taken: target, fallthrough };
}

function reversePostorder(blocks: readonly Block[], entry: number): number[] {
  const seen = new Uint8Array(blocks.length);
  const postorder: number[] = [];
  const stack: number[] = [entry];
  const nextChild: number[] = [0];
  seen[entry] = 1;
  while (stack.length > 0) {
    const top = stack.length - 1;
    const targets = successorsOf(blocks[stack[top]!]!.exit);
    // Children in reverse, so that the fall-through path comes first in reverse postorder.
    const child = targets[targets.length - 1 - nextChild[top]!];
    if (child === undefined) {
      postorder.push(stack.pop()!);
      nextChild.pop();
      continue;
    }
    nextChild[top]!++;
    if (seen[child] === 1) continue;
    seen[child] = 1;
    stack.push(child);
    nextChild.push(0);
  }
  return postorder.reverse();
}
