/**
 * Short conditional code without a jump: where a branch skips one or two plain arithmetic instructions, they are always
 * executed and their results selected. clang writes comparisons as values that way (`r1 = 1; if … goto +1; r1 = 0`), and a jump
 * that is hard to predict costs more than ten instructions.
 */
import { ALU, CLASS, JMP } from "../../spec/isa.ts";
import { insnClass } from "../asm/instruction.ts";
import type { Program } from "../program.ts";
import { type Block, type Cfg, orderCfg } from "./cfg.ts";

/** Instructions [first, end) behind a block, whose results hold if the jump at `branch` goes the way it says. */
export interface Arm {
  readonly branch: number;
  readonly whenTaken: boolean;
  readonly first: number;
  readonly end: number;
}

const ARM_INSNS = 2;

/** The graph with such branches made part of their block. */
export function takeInArms(program: Program, cfg: Cfg): Cfg {
  let isChanged = false;
  const blocks = cfg.blocks.map((block, index): Block => {
    const found = armOf(program, cfg, index);
    if (found === null) return block;
    isChanged = true;
    return { ...block, arm: found.arm, exit: { kind: "jump", to: found.to } };
  });
  return isChanged ? orderCfg(blocks, 0) : cfg;
}

function armOf(program: Program, cfg: Cfg, index: number): { readonly arm: Arm; readonly to: number } | null {
  const { exit } = cfg.blocks[index]!;
  if (exit.kind !== "branch" || (program.insns[exit.insnIndex]!.opcode & 0xf0) === JMP.JCOND) return null;
  const ways = [
    { side: exit.fallthrough, to: exit.taken, whenTaken: false },
    { side: exit.taken, to: exit.fallthrough, whenTaken: true },
  ];
  for (const { side, to, whenTaken } of ways) {
    if (cfg.predecessors[side]!.length !== 1 || !isArm(program, cfg.blocks[side]!, to)) continue;
    const { first, end } = cfg.blocks[side]!;
    return { arm: { branch: exit.insnIndex, whenTaken, first, end }, to };
  }
  return null;
}

function isArm(program: Program, { first, end, exit }: Block, to: number): boolean {
  if (exit.kind !== "jump" || exit.to !== to || end === first || end - first > ARM_INSNS) return false;
  return program.insns.slice(first, end).every((insn) => {
    const kind = insnClass(insn);
    return (kind === CLASS.ALU || kind === CLASS.ALU64) && !SLOW.has(insn.opcode & 0xf0);
  });
}

const SLOW: ReadonlySet<number> = new Set([ALU.MUL, ALU.DIV, ALU.MOD, ALU.END]);
