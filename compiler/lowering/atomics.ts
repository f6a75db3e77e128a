/**
 * Atomic instructions. Wasm's trap when the address is misaligned and the kernel's do not: where the verifier has not
 * proven alignment, the address decides at run time between Wasm's own and the library's locked one.
 */
import { BugError } from "../../base/errors.ts";
import { ATOMIC, SIZE_BYTES } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import { type Address, addressOf } from "./address.ts";
import { type Body, factsAt } from "./body.ts";
import type { Expr } from "./emit.ts";
import { storeValue } from "./memory.ts";

export function lowerAtomic(body: Body, insn: Insn, insnIndex: number): Expr[] {
  const bytes = SIZE_BYTES[insn.opcode & 0x18]!;
  if (insn.imm === ATOMIC.LOAD_ACQ) return [lowerLoadAcquire(body, insn, insnIndex, bytes)];
  if (insn.imm === ATOMIC.STORE_REL) return [lowerStoreRelease(body, insn, insnIndex, bytes)];
  const { frame, wasm } = body;
  const address = addressOf(body, insn.dst, insn.off, bytes, insnIndex);
  const old = oldValue(body, insn, address, bytes, insnIndex);
  if (insn.imm === ATOMIC.CMPXCHG) return [frame.setReg(0, old)];
  return [(insn.imm & ATOMIC.FETCH) === 0 ? wasm.m.drop(old) : frame.setReg(insn.src, old)];
}

/** The operation's expression; its value is what the memory held before, zero-extended. */
function oldValue(body: Body, insn: Insn, address: Address, bytes: number, insnIndex: number): Expr {
  if (isAligned(body, insnIndex, bytes)) return alignedAtomic(body, insn, address, bytes);
  const { frame, unit, wasm } = body;
  const { m } = wasm;
  const at = frame.temp(wasm.i32);
  const effective = m.i32.add(address.pointer, m.i32.const(address.offsetBytes));
  const slow = unit.library("atomic_unaligned", [
    at.get(),
    m.i32.const(insn.imm),
    m.i32.const(bytes),
    frame.reg(insn.src),
    frame.reg(0),
  ]);
  return m.if(
    m.i32.and(at.tee(effective), m.i32.const(bytes - 1)),
    bytes === 4 ? m.i64.and(slow, m.i64.const(0xffff_ffffn)) : slow,
    alignedAtomic(body, insn, { pointer: at.get(), offsetBytes: 0 }, bytes),
  );
}

const isAligned = (body: Body, insnIndex: number, bytes: number): boolean =>
  (factsAt(body, insnIndex)?.alignment ?? 1) >= bytes;

function alignedAtomic(body: Body, insn: Insn, address: Address, bytes: number): Expr {
  const { frame } = body;
  const { i32, i64 } = body.wasm.m;
  const { pointer, offsetBytes } = address;
  if (bytes === 8) {
    const { rmw } = i64.atomic;
    if (insn.imm === ATOMIC.CMPXCHG) return rmw.cmpxchg(offsetBytes, pointer, frame.reg(0), frame.reg(insn.src));
    return rmw[operationOf(insn)](offsetBytes, pointer, frame.reg(insn.src));
  }
  const { rmw } = i32.atomic;
  const value =
    insn.imm === ATOMIC.CMPXCHG
      ? rmw.cmpxchg(offsetBytes, pointer, frame.reg32(0), frame.reg32(insn.src))
      : rmw[operationOf(insn)](offsetBytes, pointer, frame.reg32(insn.src));
  return i64.extend_u(value);
}

function operationOf(insn: Insn): "add" | "or" | "and" | "xor" | "xchg" {
  if (insn.imm === ATOMIC.XCHG) return "xchg";
  switch (insn.imm & ~ATOMIC.FETCH) {
    case ATOMIC.ADD:
      return "add";
    case ATOMIC.OR:
      return "or";
    case ATOMIC.AND:
      return "and";
    case ATOMIC.XOR:
      return "xor";
  }
  throw new BugError(`unknown atomic operation ${insn.imm}`);
}

/** A misaligned one is not atomic on x86 either, but ordered: a plain load before a fence. */
function lowerLoadAcquire(body: Body, insn: Insn, insnIndex: number, bytes: number): Expr {
  const { frame, wasm } = body;
  const { i64 } = wasm.m;
  const { pointer, offsetBytes } = addressOf(body, insn.src, insn.off, bytes, insnIndex);
  const aligned = isAligned(body, insnIndex, bytes);
  if (bytes === 1) return frame.setReg(insn.dst, i64.atomic.load8_u(offsetBytes, pointer));
  if (bytes === 2)
    return frame.setReg(insn.dst, (aligned ? i64.atomic.load16_u : plain(i64.load16_u))(offsetBytes, pointer));
  if (bytes === 4)
    return frame.setReg(insn.dst, (aligned ? i64.atomic.load32_u : plain(i64.load32_u))(offsetBytes, pointer));
  return frame.setReg(insn.dst, (aligned ? i64.atomic.load : plain(i64.load))(offsetBytes, pointer));
}

const plain =
  (load: (offset: number, align: number, pointer: Expr) => Expr) =>
  (offset: number, pointer: Expr): Expr =>
    load(offset, 1, pointer);

function lowerStoreRelease(body: Body, insn: Insn, insnIndex: number, bytes: number): Expr {
  const { i64 } = body.wasm.m;
  const address = addressOf(body, insn.dst, insn.off, bytes, insnIndex);
  const value = body.frame.reg(insn.src);
  if (!isAligned(body, insnIndex, bytes) && bytes > 1) {
    return body.wasm.m.block(null, [body.wasm.m.atomic.fence(), storeValue(body, address, bytes, 1, value)]);
  }
  const { store, store8, store16, store32 } = i64.atomic;
  const atomic = bytes === 1 ? store8 : bytes === 2 ? store16 : bytes === 4 ? store32 : store;
  return atomic(address.offsetBytes, address.pointer, value);
}
