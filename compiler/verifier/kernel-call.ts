/** Calls of kernel functions: who may call it, with which arguments, and what it leaves behind. Kernel: check_kfunc_call(). */
import type { Insn } from "../asm/instruction.ts";
import { clearCallerSaved } from "./call-registers.ts";
import type { Env } from "./env.ts";
import type { Step } from "./explore.ts";
import { reject, unsupported } from "./failure.ts";
import { stepIterator } from "./iterators.ts";
import { checkKernelArguments, KernelCall } from "./kernel-arguments.ts";
import { hasFlag, requireKernelFunction } from "./kernel-function.ts";
import { kernelResult } from "./kernel-result.ts";
import { forgetPackets } from "./packet.ts";
import { releaseReference } from "./references.ts";
import { enterOrLeaveSection } from "./sections.ts";

export function checkKernelCall(env: Env, insn: Insn): Step {
  const target = requireKernelFunction(env, insn);
  const { name } = target;
  if (name === "__bpf_trap") reject(env, "EFAULT", "unexpected __bpf_trap() due to uninitialized variable?");
  if (hasFlag(target, "sleepable") && !env.program.sleepable) {
    reject(env, "EACCES", `program must be sleepable to call sleepable kfunc ${name}`);
  }
  const call = new KernelCall(target);
  checkKernelArguments(env, call);
  if (call.subprogram >= 0) unsupported(`callbacks of ${name}`);
  enterOrLeaveSection(env, target);
  if (call.releaseRegister !== 0 && !releaseReference(env, env.register(call.releaseRegister).refId)) {
    reject(env, "EINVAL", `kfunc ${name}#${target.id} reference has not been acquired before`);
  }
  if (name === "bpf_throw") unsupported("exceptions (bpf_throw)");
  if (hasFlag(target, "arenaRet") || hasFlag(target, "arenaArg2")) unsupported(`arena functions (${name})`);
  clearCallerSaved(env);
  env.setRegister(0, kernelResult(env, call));
  if (name === "bpf_xdp_pull_data") forgetPackets(env.state);
  if (hasFlag(target, "iterNext")) stepIterator(env, call.iterator!);
  env.insnIndex++;
  return "next";
}
