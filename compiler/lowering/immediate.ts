/** 64-bit immediate loads: numbers, and addresses of maps, of values in maps, of subprograms. */
import { UnsupportedError } from "../../base/errors.ts";
import { PSEUDO_LD } from "../../spec/isa.ts";
import { wideImmediate } from "../asm/instruction.ts";
import type { Body } from "./body.ts";
import type { Expr } from "./emit.ts";
import { tagged } from "./pointer.ts";

export function lowerWideImmediate(body: Body, insnIndex: number): Expr {
  const { frame, program, unit, wasm } = body;
  const { i32, i64 } = wasm.m;
  const insn = program.insns[insnIndex]!;
  switch (insn.src) {
    case PSEUDO_LD.NONE:
      return frame.setReg(insn.dst, i64.const(BigInt.asIntN(64, wideImmediate(program.insns, insnIndex))));
    case PSEUDO_LD.MAP_FD:
    case PSEUDO_LD.MAP_IDX:
      return frame.setReg(insn.dst, tagged(body, unit.mapAddress(insn.imm, "descriptor")));
    case PSEUDO_LD.MAP_VALUE:
    case PSEUDO_LD.MAP_IDX_VALUE: {
      const offset = program.insns[insnIndex + 1]!.imm;
      return frame.setReg(insn.dst, tagged(body, i32.add(unit.mapAddress(insn.imm, "value"), i32.const(offset))));
    }
    case PSEUDO_LD.FUNC:
      // Only callbacks.ts looks at it.
      return frame.setReg(insn.dst, i64.const(BigInt(insnIndex + 1 + insn.imm)));
  }
  throw new UnsupportedError(
    "UNSUPPORTED_FEATURE",
    "address of a kernel variable",
    `64-bit immediate of pseudo source ${insn.src}`,
    { where: { program: program.name, insnIndex } },
  );
}
