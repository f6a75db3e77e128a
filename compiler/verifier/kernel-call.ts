/** Calls of kernel functions: who may call it, with which arguments, and what it leaves behind. Kernel: check_kfunc_call(). */

import { LIMITS } from "../../spec/limits.ts";
import type { Insn } from "../asm/instruction.ts";
import { maySleep } from "./btf-match.ts";
import { clearCallerSaved } from "./call-registers.ts";
import type { Env } from "./env.ts";
import { checkThrow } from "./exceptions.ts";
import type { Step } from "./explore.ts";
import { Rejection, reject, unsupported } from "./failure.ts";
import { giveToGraph, pushLess, putsIn } from "./graph.ts";
import { stepIterator } from "./iterators.ts";
import { checkKernelArguments, KernelCall } from "./kernel-arguments.ts";
import { hasFlag, requireKernelFunction } from "./kernel-function.ts";
import { kernelResult } from "./kernel-result.ts";
import { forgetPackets } from "./packet.ts";
import { pushPath } from "./paths.ts";
import { releaseReference } from "./references.ts";
import { NOT_INIT, scalarReg, UNKNOWN } from "./register.ts";
import { draftOf, settle } from "./scalar-bounds.ts";
import { enterOrLeaveSection } from "./sections.ts";
import type { State } from "./state.ts";
import { NOTHING, pushMapCallback } from "./timers.ts";

export function checkKernelCall(env: Env, insn: Insn): Step {
  if (insn.imm === 0) {
    // The kernel's loader leaves this where there is no such function; it is refused only after all else was looked at.
    env.callsMissingFunction = true;
    env.insnIndex++;
    return "next";
  }
  const target = requireKernelFunction(env, insn);
  const { name } = target;
  if (TAKES_LOCK.has(name)) pushFailure(env);
  if (name === "__bpf_trap") reject(env, "EFAULT", "unexpected __bpf_trap() due to uninitialized variable?");
  if (hasFlag(target, "sleepable") && !maySleep(env)) {
    reject(env, "EACCES", `program must be sleepable to call sleepable kfunc ${name}`);
  }
  const call = new KernelCall(target);
  checkKernelArguments(env, call);
  if (call.subprogram >= 0) pushCallbackOf(env, call);
  enterOrLeaveSection(env, target);
  if (call.releaseRegister !== 0 && !releaseReference(env, env.register(call.releaseRegister).refId)) {
    reject(env, "EINVAL", `kfunc ${name}#${target.id} reference has not been acquired before`);
  }
  if (putsIn(name)) giveToGraph(env, env.register(2).refId);
  if (name === "bpf_throw") return checkThrow(env);
  clearCallerSaved(env);
  env.setRegister(0, kernelResult(env, call));
  if (name === "bpf_xdp_pull_data") forgetPackets(env.state);
  if (hasFlag(target, "iterNext")) stepIterator(env, call.iterator!);
  env.insnIndex++;
  return "next";
}

function pushCallbackOf(env: Env, call: KernelCall): void {
  switch (call.target.name) {
    case "bpf_rbtree_add_impl":
      pushLess(env, call);
      return;
    case "bpf_wq_set_callback_impl":
      pushMapCallback(env, call.subprogram, env.register(1), { sleepable: true, returns: NOTHING });
      return;
    case "bpf_task_work_schedule_signal_impl":
    case "bpf_task_work_schedule_resume_impl":
      pushMapCallback(env, call.subprogram, env.register(3), { sleepable: true, returns: ANY_INT });
      return;
    default:
      unsupported(`callbacks of ${call.target.name}`);
  }
}
const ANY_INT = { min: -(2 ** 31), max: 2 ** 31 - 1 };

const TAKES_LOCK: ReadonlySet<string> = new Set(["bpf_res_spin_lock", "bpf_res_spin_lock_irqsave"]);
const MOST_ERRNO = 4095;

/** A resilient lock may not be had: then nothing is held, and the result is an error. */
function pushFailure(env: Env): void {
  const { registers } = pushed(env).frame;
  for (let r = 1; r <= LIMITS.callArguments; r++) registers[r] = NOT_INIT;
  const draft = draftOf(UNKNOWN.value);
  draft.s32min = -MOST_ERRNO;
  draft.s32max = -1;
  draft.smin = BigInt(-MOST_ERRNO);
  draft.smax = -1n;
  registers[0] = scalarReg(settle(draft));
}

function pushed(env: Env): State {
  try {
    return pushPath(env, env.insnIndex + 1, env.insnIndex);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    return reject(env, error.errno, "failed to push state for failed lock acquisition");
  }
}
