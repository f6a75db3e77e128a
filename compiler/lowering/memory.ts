/**
 * Loads and stores. A verified access is a plain Wasm access at the pointer's low half; ctx fields that hold 32-bit
 * addresses become tagged pointers, loads through kernel pointers go through the library's checked load.
 */

import { CTX, type CtxFieldKind, programType } from "../../spec/index.ts";
import { CLASS, MODE, SIZE_BYTES } from "../../spec/isa.ts";
import { type Insn, insnClass } from "../asm/instruction.ts";
import { POINTER } from "../program.ts";
import { type Address, addressOf } from "./address.ts";
import { extend64 } from "./alu.ts";
import { type Body, factsAt } from "./body.ts";
import type { Expr } from "./emit.ts";
import { TAG_BITS } from "./pointer.ts";
import { loadSlot, storeSlot } from "./slots.ts";

/** What binaryen may assume of an access's alignment. */
const alignmentAt = (body: Body, insnIndex: number, bytes: number): number =>
  Math.min(bytes, factsAt(body, insnIndex)?.alignment ?? 1);

export function lowerLoad(body: Body, insn: Insn, insnIndex: number): Expr {
  const { frame, wasm, unit } = body;
  const { m } = wasm;
  const bytes = SIZE_BYTES[insn.opcode & 0x18]!;
  const isSigned = (insn.opcode & 0xe0) === MODE.MEMSX;
  const slot = body.slots.at(insnIndex);
  if (slot !== null) return frame.setReg(insn.dst, loadSlot(wasm, slot, isSigned));
  const facts = factsAt(body, insnIndex);
  if (facts !== null && (facts.pointer & POINTER.btf) !== 0) {
    const address = m.i64.add(frame.reg(insn.src), m.i64.const(BigInt(insn.off)));
    const value = unit.library("probe_load", [address, m.i32.const(bytes)]);
    return frame.setReg(insn.dst, isSigned ? extend64(wasm, value, bytes * 8) : value);
  }
  const address = addressOf(body, insn.src, insn.off, bytes, insnIndex);
  const align = alignmentAt(body, insnIndex, bytes);
  if (facts?.pointer === POINTER.ctx && bytes === 4 && !isSigned) {
    const kind = ctxFieldKind(body, facts.ctxOffset ?? insn.off);
    if (kind === "packet" || kind === "packetEnd" || kind === "packetMeta") {
      const value = m.i64.load32_u(address.offsetBytes, align, address.pointer);
      return frame.setReg(insn.dst, m.i64.or(value, m.i64.const(TAG_BITS)));
    }
  }
  return frame.setReg(insn.dst, loadValue(body, address, bytes, align, isSigned));
}

function ctxFieldKind(body: Body, offset: number): CtxFieldKind | null {
  const name = programType(body.program.type).ctx;
  if (name === null) return null;
  return CTX[name].fields.find((field) => field.offset === offset)?.kind ?? null;
}

function loadValue(body: Body, address: Address, bytes: number, align: number, isSigned: boolean): Expr {
  const { i64 } = body.wasm.m;
  const { pointer, offsetBytes } = address;
  switch (bytes) {
    case 1:
      return isSigned ? i64.load8_s(offsetBytes, 1, pointer) : i64.load8_u(offsetBytes, 1, pointer);
    case 2:
      return isSigned ? i64.load16_s(offsetBytes, align, pointer) : i64.load16_u(offsetBytes, align, pointer);
    case 4:
      return isSigned ? i64.load32_s(offsetBytes, align, pointer) : i64.load32_u(offsetBytes, align, pointer);
  }
  return i64.load(offsetBytes, align, pointer);
}

/** Stores of a register (STX) or an immediate (ST). */
export function lowerStore(body: Body, insn: Insn, insnIndex: number): Expr {
  const { i64 } = body.wasm.m;
  const bytes = SIZE_BYTES[insn.opcode & 0x18]!;
  const value = insnClass(insn) === CLASS.ST ? i64.const(BigInt(insn.imm)) : body.frame.reg(insn.src);
  const slot = body.slots.at(insnIndex);
  if (slot !== null) return storeSlot(body.wasm, slot, value);
  const address = addressOf(body, insn.dst, insn.off, bytes, insnIndex);
  return storeValue(body, address, bytes, alignmentAt(body, insnIndex, bytes), value);
}

export function storeValue(body: Body, address: Address, bytes: number, align: number, value: Expr): Expr {
  const { i64 } = body.wasm.m;
  const { pointer, offsetBytes } = address;
  switch (bytes) {
    case 1:
      return i64.store8(offsetBytes, 1, pointer, value);
    case 2:
      return i64.store16(offsetBytes, align, pointer, value);
    case 4:
      return i64.store32(offsetBytes, align, pointer, value);
  }
  return i64.store(offsetBytes, align, pointer, value);
}
