/** Instruction bytes ↔ slots. Only the encoding is looked at; what a slot means, and whether it may be, is not asked here. */
import { ByteReader, ObjectError } from "../../base/index.ts";
import { INSN_BYTES } from "../../spec/isa.ts";
import type { Insn } from "./instruction.ts";

/**
 * One slot for every 8 bytes:
 *
 *     byte    0       1        2 … 3    4 … 7
 *             opcode  src dst  offset   immediate     (dst is the low half of byte 1)
 *
 * Throws INSN_MALFORMED where the last slot is cut short.
 */
export function decodeInsns(bytes: Uint8Array): Insn[] {
  if (bytes.length % INSN_BYTES !== 0)
    throw new ObjectError("INSN_MALFORMED", `${bytes.length} bytes are no whole number of ${INSN_BYTES}-byte slots`, {
      where: { offsetBytes: bytes.length - (bytes.length % INSN_BYTES) },
    });
  const reader = new ByteReader(
    bytes,
    (offset) => new ObjectError("INSN_MALFORMED", "cut short", { where: { offsetBytes: offset } }),
  );
  const insns: Insn[] = [];
  for (let at = 0; at < bytes.length; at += INSN_BYTES) {
    const registers = reader.u8(at + 1);
    insns.push({
      opcode: reader.u8(at),
      dst: registers & 15,
      src: registers >> 4,
      off: reader.s16(at + 2),
      imm: reader.s32(at + 4),
    });
  }
  return insns;
}

/** The inverse of decodeInsns(). */
export function encodeInsns(insns: readonly Insn[]): Uint8Array {
  const bytes = new Uint8Array(insns.length * INSN_BYTES);
  const view = new DataView(bytes.buffer);
  insns.forEach((insn, index) => {
    const at = index * INSN_BYTES;
    bytes[at] = insn.opcode;
    bytes[at + 1] = (insn.src << 4) | (insn.dst & 15);
    view.setInt16(at + 2, insn.off, true);
    view.setInt32(at + 4, insn.imm, true);
  });
  return bytes;
}

/** The slot as one little-endian 64-bit number: how `.quad` writes what has no mnemonic. */
export function insnToQuad(insn: Insn): bigint {
  return new DataView(encodeInsns([insn]).buffer).getBigUint64(0, true);
}

export function insnFromQuad(quad: bigint): Insn {
  const bytes = new Uint8Array(INSN_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, quad, true);
  return decodeInsns(bytes)[0]!;
}
