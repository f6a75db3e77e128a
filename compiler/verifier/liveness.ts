/**
 * Which registers may still be read, before each instruction: a backward dataflow inside each function. Dead registers
 * are forgotten before states are compared. Kernel: compute_live_registers().
 */

import { ALU, ATOMIC, CLASS, JMP, MODE, SRC } from "../../spec/isa.ts";
import { calleeOf } from "../../spec/kfuncs.ts";
import { type Insn, isWideImmediate } from "../asm/instruction.ts";
import { jumpDistance } from "./cfg.ts";
import type { Env } from "./env.ts";
import { kernelFunctionOf } from "./kernel-function.ts";

const ARGUMENTS = 0b111110;
const CALLER_SAVED = 0b111111;
/** r0 … r9 */
const ALL_REGISTERS = 0b11_1111_1111;
const bit = (register: number): number => 1 << register;

/** Slots that control can go to after `slot` inside its function; a call goes to the next instruction. */
export function successors(insns: readonly Insn[], slot: number): number[] {
  const insn = insns[slot]!;
  const kind = insn.opcode & 7;
  const next = slot + (isWideImmediate(insn) ? 2 : 1);
  if (kind !== CLASS.JMP && kind !== CLASS.JMP32) return [next];
  switch (insn.opcode & 0xf0) {
    case JMP.EXIT:
      return [];
    case JMP.CALL:
      return [next];
    case JMP.JA:
      return [slot + 1 + jumpDistance(insn)];
    default:
      return insn.off === 0 ? [next] : [next, slot + 1 + insn.off];
  }
}

/** Fills notes.liveRegisters. */
export function findLiveRegisters(env: Env): void {
  const { insns } = env;
  const live = env.notes.liveRegisters;
  const effects = insns.map((insn) => effectOf(env, insn));
  for (let changed = true; changed; ) {
    changed = false;
    // Backwards over the slots converges in few rounds; only loops need another one.
    for (let slot = insns.length - 1; slot >= 0; slot--) {
      const effect = effects[slot]!;
      if (effect === null) continue;
      let out = 0;
      for (const next of successors(insns, slot)) out |= live[next] ?? 0;
      const before = (out & ~effect.writes) | effect.reads;
      if (before === live[slot]) continue;
      live[slot] = before;
      changed = true;
    }
  }
}

interface Effect {
  readonly reads: number;
  readonly writes: number;
}

/** Registers that an instruction reads and writes; null for the second slot of a 64-bit immediate. */
function effectOf(env: Env, insn: Insn): Effect | null {
  const source = bit(insn.src);
  const destination = bit(insn.dst);
  const fromRegister = (insn.opcode & SRC.X) !== 0;
  switch (insn.opcode & 7) {
    case CLASS.LD:
      if (insn.opcode === 0) return null;
      if (isWideImmediate(insn)) return { reads: 0, writes: destination };
      // Packet loads of old are not looked into: everything counts as read there, in the kernel too.
      return { reads: ALL_REGISTERS, writes: 0 };
    case CLASS.LDX:
      return { reads: source, writes: destination };
    case CLASS.ST:
      return { reads: destination, writes: 0 };
    case CLASS.STX:
      return (insn.opcode & 0xe0) === MODE.ATOMIC ? atomicEffect(insn) : { reads: source | destination, writes: 0 };
    case CLASS.ALU:
    case CLASS.ALU64: {
      const operation = insn.opcode & 0xf0;
      if (operation === ALU.END || operation === ALU.NEG) return { reads: destination, writes: destination };
      if (operation === ALU.MOV) return { reads: fromRegister ? source : 0, writes: destination };
      return { reads: destination | (fromRegister ? source : 0), writes: destination };
    }
    default:
      return jumpEffect(env, insn);
  }
}

function atomicEffect(insn: Insn): Effect {
  const source = bit(insn.src);
  const destination = bit(insn.dst);
  if (insn.imm === ATOMIC.CMPXCHG) return { reads: source | destination | bit(0), writes: bit(0) };
  if (insn.imm === ATOMIC.LOAD_ACQ) return { reads: source, writes: destination };
  if (insn.imm === ATOMIC.STORE_REL) return { reads: source | destination, writes: 0 };
  return { reads: source | destination, writes: insn.imm & ATOMIC.FETCH ? source : 0 };
}

function jumpEffect(env: Env, insn: Insn): Effect {
  switch (insn.opcode & 0xf0) {
    case JMP.JA:
    case JMP.JCOND:
      return { reads: 0, writes: 0 };
    case JMP.EXIT:
      return { reads: bit(0), writes: 0 };
    case JMP.CALL: {
      const count = argumentCount(env, insn);
      return { reads: count === null ? ARGUMENTS : ((1 << (count + 1)) - 1) & ~1, writes: CALLER_SAVED };
    }
    default:
      return { reads: bit(insn.dst) | (insn.opcode & SRC.X ? bit(insn.src) : 0), writes: 0 };
  }
}

/** How many registers a call reads; null where that is not known. */
function argumentCount(env: Env, insn: Insn): number | null {
  const helper = calleeOf(insn);
  if (helper) return helper.args.filter((arg) => !(arg.is === "anything" && arg.unchecked)).length;
  return kernelFunctionOf(env, insn)?.parameters.length ?? null;
}
