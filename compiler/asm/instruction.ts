/** One instruction slot, decoded. A 64-bit immediate takes two slots; the second has opcode 0 and the high half in imm. */
import { CLASS, MODE, SIZE } from "../../spec/isa.ts";

export interface Insn {
  readonly opcode: number;
  /** 0 … 15 as encoded; above 10 is for the verifier to refuse */
  readonly dst: number;
  readonly src: number;
  /** signed 16 bits */
  readonly off: number;
  /** signed 32 bits */
  readonly imm: number;
}

export const insnClass = (insn: Insn): number => insn.opcode & 7;

/** First slot of a 64-bit immediate load. */
export const isWideImmediate = (insn: Insn): boolean => insn.opcode === (CLASS.LD | MODE.IMM | SIZE.DW);

/** The 64-bit immediate of the two slots at `index`, unsigned. */
export function wideImmediate(insns: readonly Insn[], index: number): bigint {
  const low = BigInt(insns[index]!.imm >>> 0);
  const high = BigInt(insns[index + 1]!.imm >>> 0);
  return (high << 32n) | low;
}
