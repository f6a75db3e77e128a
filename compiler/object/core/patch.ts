/**
 * A CO-RE value → the instruction that holds it. Loads, stores, arithmetic with a constant and 64-bit loads can be
 * relocated; others, and those that do not hold what the compiler must have put there, are refused. What the target lacks
 * becomes a call that the verifier refuses if it is ever reached. Source: libbpf, bpf_core_patch_insn().
 */
import { ObjectError } from "../../../base/index.ts";
import { CLASS, SIZE, SIZE_BYTES, SRC } from "../../../spec/isa.ts";
import { type Insn, insnClass, isWideImmediate } from "../../asm/instruction.ts";
import { CALL_OPCODE } from "../relocations.ts";
import type { CoreValue } from "./value.ts";

/** "bad relo": what the verifier says is `invalid func unknown#195896080` */
export const BAD_RELOCATION = 0xbad2310;
const POISON: Insn = { opcode: CALL_OPCODE, dst: 0, src: 0, off: 0, imm: BAD_RELOCATION };
export const isPoison = (insn: Insn): boolean =>
  insn.opcode === CALL_OPCODE && insn.src === 0 && insn.imm === BAD_RELOCATION;
const MOST_OFFSET = 0x7fff;

/** The new instruction, or both slots of a 64-bit load. `second` is the slot behind `insn`. */
export function patchInsn(insn: Insn, second: Insn | undefined, core: CoreValue): Insn[] {
  switch (insnClass(insn)) {
    case CLASS.ALU:
    case CLASS.ALU64:
      if ((insn.opcode & SRC.X) !== 0) break;
      if (core.isMissing) return [POISON];
      check(core, BigInt(insn.imm));
      return [{ ...insn, imm: lowWord(core.value) }];
    case CLASS.LDX:
    case CLASS.ST:
    case CLASS.STX:
      if (core.isMissing) return [POISON];
      check(core, BigInt(insn.off));
      if (core.value > MOST_OFFSET)
        throw new ObjectError("CORE_UNRESOLVED", `offset ${core.value} is too large for a load or store`);
      if (!core.mayResize) return [POISON];
      return [{ ...insn, opcode: resized(insn, core), off: Number(core.value) }];
    case CLASS.LD:
      if (!isWideImmediate(insn) || insn.src !== 0 || insn.off !== 0 || second === undefined || !isHighHalf(second))
        break;
      if (core.isMissing) return [POISON, POISON];
      check(core, (BigInt(second.imm) << 32n) | BigInt(insn.imm >>> 0));
      return [
        { ...insn, imm: lowWord(core.value) },
        { ...second, imm: lowWord(core.value >> 32n) },
      ];
  }
  throw new ObjectError("RELOCATION_MALFORMED", `CO-RE relocation for opcode 0x${insn.opcode.toString(16)}`);
}

const lowWord = (value: bigint): number => Number(BigInt.asIntN(32, value));
const isHighHalf = (insn: Insn): boolean => insn.opcode === 0 && insn.dst === 0 && insn.src === 0 && insn.off === 0;

function check({ isChecked, original, value }: CoreValue, held: bigint): void {
  if (!isChecked || BigInt.asUintN(64, held) === original) return;
  throw new ObjectError(
    "RELOCATION_MALFORMED",
    `CO-RE relocation: the instruction holds ${held}, not ${original} (to become ${value})`,
  );
}

/** The opcode with the access size of the target's field. */
function resized(insn: Insn, { originalBytes, bytes }: CoreValue): number {
  if (originalBytes === bytes) return insn.opcode;
  const held = SIZE_BYTES[insn.opcode & SIZE.DW];
  if (held !== originalBytes)
    throw new ObjectError("CORE_UNRESOLVED", `a load or store of ${held} bytes for a field of ${originalBytes}`);
  const size = [SIZE.B, SIZE.H, SIZE.W, SIZE.DW].find((code) => SIZE_BYTES[code] === bytes);
  if (size === undefined) throw new ObjectError("CORE_UNRESOLVED", `no load or store is of ${bytes} bytes`);
  return (insn.opcode & ~SIZE.DW) | size;
}
