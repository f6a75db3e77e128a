/** Calls of helpers. */

import { helperName, isKernelHelper } from "../../spec/helper-names.ts";
import type { Insn } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import type { Step } from "./explore.ts";
import { reject, unsupported } from "./failure.ts";

export function checkHelperCall(env: Env, insn: Insn): Step {
  if (!isKernelHelper(insn.imm)) reject(env, "EINVAL", `invalid func unknown#${insn.imm}`);
  return unsupported(`helper ${helperName(insn.imm)}`);
}
