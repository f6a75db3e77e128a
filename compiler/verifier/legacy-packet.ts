/** LD_ABS and LD_IND: packet loads of old, through the skb in r6. Kernel: check_ld_abs(). */
import { MODE, SIZE } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import { clearCallerSaved } from "./call-registers.ts";
import { requireUnmodified } from "./ctx.ts";
import type { Env } from "./env.ts";
import { returnToCaller } from "./exit.ts";
import type { Step } from "./explore.ts";
import { reject } from "./failure.ts";
import { requireReadable } from "./operands.ts";
import { pushPath } from "./paths.ts";
import { checkNoLeak } from "./references.ts";
import { REG, UNKNOWN, ZERO } from "./register.ts";

const SKB_REGISTER = 6;

export function checkLegacyPacketLoad(env: Env, insn: Insn): Step {
  const indirect = (insn.opcode & 0xe0) === MODE.IND;
  if (!env.type.legacyPacketAccess) {
    reject(env, "EINVAL", "BPF_LD_[ABS|IND] instructions not allowed for this program type");
  }
  if (insn.dst !== 0 || insn.off !== 0 || (insn.opcode & 0x18) === SIZE.DW || (!indirect && insn.src !== 0)) {
    reject(env, "EINVAL", "BPF_LD_[ABS|IND] uses reserved fields");
  }
  requireReadable(env, SKB_REGISTER);
  checkNoLeak(env, "BPF_LD_[ABS|IND]");
  const skb = env.register(SKB_REGISTER);
  if (skb.type !== REG.CTX) reject(env, "EINVAL", "at the time of BPF_LD_ABS|IND R6 != pointer to skb");
  if (indirect) requireReadable(env, insn.src);
  requireUnmodified(env, SKB_REGISTER, skb);
  clearCallerSaved(env);
  env.setRegister(0, UNKNOWN);
  if (env.state.frames.length === 1) {
    env.insnIndex++;
    return "next";
  }
  // Outside of the packet the load returns 0 from the function that it is in.
  pushPath(env, env.insnIndex + 1, env.insnIndex);
  env.setRegister(0, ZERO);
  returnToCaller(env);
  return "next";
}
