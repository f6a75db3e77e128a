/** Calls of helpers: who may call it, with which arguments, and what it leaves behind. Kernel: check_helper_call(). */
import { helperById, type NamedHelper } from "../../spec/helpers.ts";
import { PSEUDO_CALL } from "../../spec/isa.ts";
import { type Callee, ownKfunc } from "../../spec/kfuncs.ts";
import type { Insn } from "../asm/instruction.ts";
import { hasHelper, isAudience, worksAt } from "./audience.ts";
import { maySleep } from "./btf-match.ts";
import { clearCallerSaved } from "./call-registers.ts";
import { checkDrain, checkFindVma, checkForEach, checkLoop } from "./callback.ts";
import { TAIL_CALL } from "./cfg.ts";
import { releaseDynptr } from "./dynptr.ts";
import type { Env } from "./env.ts";
import type { Step } from "./explore.ts";
import { reject, unsupported } from "./failure.ts";
import { checkFormat } from "./format.ts";
import { CallArguments, checkArguments } from "./helper-arguments.ts";
import { helperResult } from "./helper-result.ts";
import { giveUpExchanged } from "./kptr.ts";
import { isGpl } from "./license.ts";
import { requireCompatibleMap } from "./map-compatibility.ts";
import { forgetPackets } from "./packet.ts";
import { checkNoLeak, releaseReference } from "./references.ts";
import { REG, type RegState, typeName } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { refuseInSection } from "./sections.ts";
import { clobberBytes } from "./stack-write.ts";
import { tailCallReturns } from "./tail-call.ts";
import { NOTHING, pushMapCallback } from "./timers.ts";

export function checkHelperCall(env: Env, insn: Insn): Step {
  const helper = insn.src === PSEUDO_CALL.KFUNC ? requireKfunc(insn) : requireHelper(env, insn.imm);
  const call = new CallArguments(helper);
  checkArguments(env, call);
  if (call.map) env.facts.map(env.insnIndex, env.maps, call.map);
  if (call.written) clobberBytes(env, call.written.frame, call.written.off, call.written.size);
  const giveBack = call.exchanged === null ? releaseReference : giveUpExchanged;
  if (call.releasedId !== 0 && !giveBack(env, call.releasedId)) {
    reject(env, "EINVAL", `func ${helper.name}#${helper.id} reference has not been acquired before`);
  }
  if (call.releasedDynptr) releaseDynptr(env, call.releasedDynptr);
  checkSpecial(env, call);
  clearCallerSaved(env);
  env.setRegister(0, helperResult(env, call));
  requireCompatibleMap(env, call.map, helper);
  if (helper.id === TAIL_CALL && env.state.frames.length > 1) {
    tailCallReturns(env);
    return "next";
  }
  // Writing to a packet through a dynptr may move it.
  const writesPacket = helper.name === "bpf_dynptr_write" && call.dynptr?.kind.startsWith("skb");
  if (writesPacket) forgetPackets(env.state);
  if (helper.changesPacket && helper.id !== TAIL_CALL) forgetPackets(env.state);
  env.insnIndex++;
  return "next";
}

/** bpfjit's own; those of the kernel are not judged yet. */
function requireKfunc(insn: Insn): Callee {
  return ownKfunc(insn.off, insn.imm) ?? unsupported("kernel functions (kfuncs)");
}

function requireHelper(env: Env, id: number): NamedHelper {
  // Number 0 stands in the kernel's list of names, but is no helper.
  if (id === 0) reject(env, "EINVAL", "program of this type cannot use helper bpf_unspec#0");
  const helper = helperById(id);
  if (!helper) reject(env, "EINVAL", `invalid func unknown#${id}`);
  if (!isAudience(env, helper.audience) || !hasHelper(env, helper)) {
    reject(env, "EINVAL", `program of this type cannot use helper ${helper.name}#${id}`);
  }
  const isFree = !helper.gplOnly || (helper.gplExcept && isAudience(env, helper.gplExcept));
  if (!isFree && !isGpl(env.program)) {
    reject(env, "EINVAL", "cannot call GPL-restricted function from non-GPL compatible program");
  }
  if (!worksAt(env, helper.name)) reject(env, "EINVAL", "helper call is not allowed in probe");
  if (helper.sleepable && !maySleep(env)) {
    reject(env, "EINVAL", "helper call might sleep in a non-sleepable prog");
  }
  if (helper.sleepable) refuseInSection(env, helper);
  return variantFor(env, helper);
}

/** The helper with the arguments that it takes from this program. */
function variantFor(env: Env, helper: NamedHelper): NamedHelper {
  const variant = helper.variants?.find(({ audience }) => isAudience(env, audience));
  return variant ? { ...helper, args: variant.args } : helper;
}

const isNumber = (reg: RegState, value: bigint): boolean => reg.type === REG.SCALAR && constantOf(reg.value) === value;

/** Only a probe has a function. Kernel: check_get_func_ip(). */
function checkFunctionIp(env: Env, { helper }: CallArguments): void {
  const { type } = env.program;
  if (type === "kprobe") return;
  if (type === "tracing") {
    if (["trace_fentry", "trace_fexit", "modify_return"].includes(env.attachType ?? "")) return;
    const wanted = "supported only for fentry/fexit/fmod_ret programs";
    reject(env, "ENOTSUPP", `func ${helper.name}#${helper.id} ${wanted}`);
  }
  reject(env, "ENOTSUPP", `func ${helper.name}#${helper.id} not supported for program type ${env.type.id}`);
}

/** What single helpers want beyond their argument kinds. */
function checkSpecial(env: Env, call: CallArguments): void {
  switch (call.helper.name) {
    case "bpf_tail_call":
      checkNoLeak(env, "tail_call");
      return;
    case "bpf_for_each_map_elem":
      checkForEach(env, call);
      return;
    case "bpf_loop":
      checkLoop(env, call);
      return;
    case "bpf_timer_set_callback":
      pushMapCallback(env, call.subprogram, env.register(1), { sleepable: false, returns: NOTHING });
      return;
    case "bpf_find_vma":
      checkFindVma(env, call);
      return;
    case "bpf_user_ringbuf_drain":
      checkDrain(env, call);
      return;
    case "bpf_dynptr_from_mem": {
      const { type } = env.register(1);
      if (type !== REG.MAP_VALUE) {
        reject(env, "EACCES", `Unsupported reg type ${typeName(type)} for bpf_dynptr_from_mem data`);
      }
      return;
    }
    case "bpf_snprintf":
      checkFormat(env);
      return;
    case "bpf_get_local_storage":
      if (!isNumber(env.register(2), 0n)) {
        reject(env, "EINVAL", "get_local_storage() doesn't support non-zero flags");
      }
      return;
    case "bpf_set_retval":
      if (env.attachType === "lsm_cgroup" && env.hook?.returns === 0) {
        reject(env, "EINVAL", "BPF_LSM_CGROUP that attach to void LSM hooks can't modify return value!");
      }
      return;
    case "bpf_get_func_ip":
      checkFunctionIp(env, call);
      return;
    default:
      if (call.helper.args.some((arg) => arg.is === "func")) unsupported(`callbacks of ${call.helper.name}`);
  }
}
