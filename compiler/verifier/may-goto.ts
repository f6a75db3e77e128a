/** may_goto: jumps when the program's budget of iterations is used up, so such a loop ends. Kernel: check_cond_jmp_op(). */
import { CLASS, JMP } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import { previousEntry } from "./checkpoint.ts";
import type { Env } from "./env.ts";
import { OUTCOME } from "./facts.ts";
import { reject } from "./failure.ts";
import { pushPath } from "./paths.ts";
import { widenImprecise } from "./widen.ts";

export function checkMayGoto(env: Env, insn: Insn): void {
  if (insn.opcode !== (CLASS.JMP | JMP.JCOND) || insn.src !== 0 || insn.dst !== 0 || insn.imm !== 0) {
    reject(env, "EINVAL", `invalid may_goto imm ${insn.imm}`);
  }
  const slot = env.insnIndex;
  env.facts.branch(slot, OUTCOME.TAKEN | OUTCOME.FALLTHROUGH);
  const previous = env.state.parent ? previousEntry(env, env.state.parent, slot) : null;
  const another = pushPath(env, slot + 1, slot);
  another.mayGotoDepth++;
  if (previous) widenImprecise(env, previous, another);
  env.insnIndex += 1 + insn.off;
}
