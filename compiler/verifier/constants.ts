/**
 * Arguments of calls that are the same constant on every path: a forward dataflow of its own, since a pruned path need
 * not have had the constants of the path that it was compared with.
 */
import { ALU, CLASS, JMP, MODE, SRC } from "../../spec/isa.ts";
import { type Insn, isWideImmediate, wideImmediate } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import { successors } from "./liveness.ts";

/** Registers r0 … r9; null: not one constant. */
type Values = readonly (bigint | null)[];
const NOTHING_KNOWN: Values = Array.from({ length: 10 }, () => null);

/** By slot of a call: r1 … r5. */
export function constantArguments(env: Env): ReadonlyMap<number, Values> {
  const { insns } = env;
  if (!insns.some(isCall)) return NO_CALLS;
  const before = new Map<number, Values>();
  const work = env.subprograms.map((subprogram) => subprogram.start);
  for (const start of work) before.set(start, NOTHING_KNOWN);
  // Values only ever fall from a constant to unknown, so each slot is visited a bounded number of times.
  while (work.length > 0) {
    const slot = work.pop()!;
    const after = transfer(insns, slot, before.get(slot)!);
    for (const next of successors(insns, slot)) {
      const known = before.get(next);
      const merged = known ? meet(known, after) : after;
      if (merged === known) continue;
      before.set(next, merged);
      work.push(next);
    }
  }
  const result = new Map<number, Values>();
  for (const [slot, values] of before) {
    if (isCall(insns[slot]!)) result.set(slot, values.slice(1, 6));
  }
  return result;
}

const isCall = (insn: Insn): boolean => insn.opcode === (CLASS.JMP | JMP.CALL);
const NO_CALLS: ReadonlyMap<number, Values> = new Map();

function meet(known: Values, other: Values): Values {
  if (known === other) return known;
  if (known.every((value, register) => value === null || value === other[register])) return known;
  return known.map((value, register) => (value === other[register] ? value : null));
}

function transfer(insns: readonly Insn[], slot: number, values: Values): Values {
  const insn = insns[slot]!;
  const kind = insn.opcode & 7;
  if (kind === CLASS.ALU || kind === CLASS.ALU64) return set(values, insn.dst, moved(insn, values));
  if (isWideImmediate(insn)) return set(values, insn.dst, insn.src === 0 ? wideImmediate(insns, slot) : null);
  if (kind === CLASS.LDX) return set(values, insn.dst, null);
  if (kind === CLASS.STX && (insn.opcode & 0xe0) === MODE.ATOMIC) {
    // Whichever register the operation loads: src (fetch), r0 (cmpxchg) or dst (load-acquire).
    return [insn.src, insn.dst, 0].reduce((known, register) => set(known, register, null), values);
  }
  if (kind === CLASS.LD || insn.opcode === (CLASS.JMP | JMP.CALL)) {
    return values.map((value, register) => (register < 6 ? null : value));
  }
  return values;
}

function set(values: Values, register: number, value: bigint | null): Values {
  if (register >= values.length || values[register] === value) return values;
  const copy = values.slice();
  copy[register] = value;
  return copy;
}

/** What a move leaves in its destination; every other operation leaves something unknown. */
function moved(insn: Insn, values: Values): bigint | null {
  if ((insn.opcode & 0xf0) !== ALU.MOV || insn.off !== 0) return null;
  const value = insn.opcode & SRC.X ? (values[insn.src] ?? null) : BigInt(insn.imm);
  if (value === null) return null;
  return BigInt.asUintN((insn.opcode & 7) === CLASS.ALU64 ? 64 : 32, value);
}
