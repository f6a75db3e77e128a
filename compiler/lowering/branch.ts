/** The condition of a conditional jump, as an i32 that is not zero when the jump is taken. */
import { BugError } from "../../base/errors.ts";
import { CLASS, JMP, SRC } from "../../spec/isa.ts";
import { type Insn, insnClass } from "../asm/instruction.ts";
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";

export function lowerCondition(body: Body, insn: Insn): Expr {
  const { frame, wasm } = body;
  const isNull = nullCheck(body, insn);
  if (isNull !== null) return isNull;
  const is64 = insnClass(insn) === CLASS.JMP;
  const isImmediate = (insn.opcode & SRC.X) === 0;
  const { i32, i64 } = wasm.m;
  const left = is64 ? frame.reg(insn.dst) : frame.reg32(insn.dst);
  const right = isImmediate
    ? is64
      ? i64.const(BigInt(insn.imm))
      : i32.const(insn.imm)
    : is64
      ? frame.reg(insn.src)
      : frame.reg32(insn.src);
  const w = is64 ? i64 : i32;
  switch (insn.opcode & 0xf0) {
    case JMP.JEQ:
      return w.eq(left, right);
    case JMP.JNE:
      return w.ne(left, right);
    case JMP.JGT:
      return w.gt_u(left, right);
    case JMP.JGE:
      return w.ge_u(left, right);
    case JMP.JLT:
      return w.lt_u(left, right);
    case JMP.JLE:
      return w.le_u(left, right);
    case JMP.JSGT:
      return w.gt_s(left, right);
    case JMP.JSGE:
      return w.ge_s(left, right);
    case JMP.JSLT:
      return w.lt_s(left, right);
    case JMP.JSLE:
      return w.le_s(left, right);
    case JMP.JSET:
      return is64 ? i64.ne(i64.and(left, right), i64.const(0n)) : i32.and(left, right);
  }
  throw new BugError(`unknown jump ${insn.opcode}`);
}

/** A comparison with null needs only the address, and none where the pointer is to what is always there. */
function nullCheck(body: Body, insn: Insn): Expr | null {
  const operation = insn.opcode & 0xf0;
  const isComparison = operation === JMP.JEQ || operation === JMP.JNE;
  if (insnClass(insn) !== CLASS.JMP || !isComparison || (insn.opcode & SRC.X) !== 0 || insn.imm !== 0) return null;
  const pointer = body.known.of(insn.dst);
  if (pointer === null) return null;
  if (pointer.base.kind !== "local" || pointer.base.neverNull)
    return body.wasm.m.i32.const(operation === JMP.JNE ? 1 : 0);
  if (pointer.offsetBytes !== 0) return null;
  const address = pointer.base.local.get();
  return operation === JMP.JEQ ? body.wasm.m.i32.eqz(address) : address;
}
