/**
 * Which kernel function a call names: its prototype in the target's BTF and its row in spec/kernel-functions.ts. Calls are
 * looked at twice, before anything is explored (does it exist?) and when a path reaches them (may this program call it?).
 * Kernel: add_kfunc_call(), fetch_kfunc_meta().
 */
import {
  type KernelFunctionFlag,
  kernelFunctionByName,
  type NamedKernelFunction,
} from "../../spec/kernel-functions.ts";
import { LIMITS } from "../../spec/limits.ts";
import { mayModifyReturn } from "../../spec/traced-functions.ts";
import type { Insn } from "../asm/instruction.ts";
import type { Btf } from "../object/btf/btf.ts";
import type { BtfParameter, BtfType } from "../object/btf/types.ts";
import { isAudience } from "./audience.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import { isGpl } from "./license.ts";

export interface KernelFunction {
  readonly name: string;
  readonly id: number;
  readonly btf: Btf;
  readonly parameters: readonly BtfParameter[];
  /** id of the type; 0: void */
  readonly returns: number;
  /** null: not one that programs may call */
  readonly spec: NamedKernelFunction | null;
}

export const hasFlag = ({ spec }: KernelFunction, flag: KernelFunctionFlag): boolean => spec?.flags.has(flag) === true;

/** The kernel's functions that only programs for a device may call. Kernel: XDP_METADATA_KFUNC_xxx */
const FOR_DEVICES: ReadonlySet<string> = new Set([
  "bpf_xdp_metadata_rx_timestamp",
  "bpf_xdp_metadata_rx_hash",
  "bpf_xdp_metadata_rx_vlan_tag",
]);

/** Before exploration, in the order of the instructions. A call of number 0 fails only where a path reaches it. */
export function declareKernelFunction(env: Env, insn: Insn): void {
  if (env.kernelFunctions.size === 0 && !isGpl(env.program)) {
    reject(env, "EINVAL", "cannot call kernel function from non-GPL compatible program");
  }
  if (insn.imm === 0 && insn.off === 0) return;
  const key = keyOf(insn);
  const btf = btfOf(env, insn);
  if (env.kernelFunctions.has(key)) return;
  if (env.kernelFunctions.size >= LIMITS.kernelFunctions) {
    reject(env, "E2BIG", "too many different kernel function calls");
  }
  env.kernelFunctions.set(key, describe(env, btf, insn.imm));
}

export const kernelFunctionOf = (env: Env, insn: Insn): KernelFunction | null =>
  env.kernelFunctions.get(keyOf(insn)) ?? null;

const keyOf = (insn: Insn): string => `${insn.off}:${insn.imm}`;

/** BTF that the call's number counts in. */
function btfOf(env: Env, insn: Insn): Btf {
  const notFound = "failed to find BTF for kernel function";
  if (insn.off < 0) {
    reject(env, "EINVAL", "negative offset disallowed for kernel module function call", notFound);
  }
  if (insn.off > 0) {
    const module = env.program.modules?.[insn.off - 1];
    if (!module) reject(env, "EPROTO", "kfunc offset > 0 without fd_array is invalid", notFound);
    unsupported(`functions of kernel modules (${module.name})`);
  }
  return env.program.targetBtf ?? unsupported("kernel functions without the kernel's BTF");
}

function describe(env: Env, btf: Btf, id: number): KernelFunction {
  const known = id > 0 && id < btf.typeCount;
  const func = known ? btf.typeById(id) : null;
  if (func?.kind !== "func") reject(env, "EINVAL", `kernel btf_id ${id >>> 0} is not a function`);
  const proto: BtfType = btf.typeById(func.type);
  if (proto.kind !== "func_proto") {
    reject(env, "EINVAL", `kernel function btf_id ${id} does not have a valid func_proto`);
  }
  if (FOR_DEVICES.has(func.name)) reject(env, "EINVAL", "metadata kfuncs require device-bound program");
  return {
    name: func.name,
    id,
    btf,
    parameters: proto.parameters,
    returns: proto.returns,
    spec: kernelFunctionByName(func.name) ?? null,
  };
}

/** What a path calls: one that this program may call. */
export function requireKernelFunction(env: Env, insn: Insn): KernelFunction {
  const target = kernelFunctionOf(env, insn);
  if (target === null) reject(env, "EINVAL", "invalid kernel function call not eliminated in verifier pass");
  if (target.spec === null && isTagged(target) && !mayModifyReturn(target.name))
    unsupported(`the kernel function ${target.name}`);
  if (target.spec === null || !isAudience(env, target.spec.audience)) {
    reject(env, "EACCES", `calling kernel function ${target.name} is not allowed`);
  }
  return target;
}

/** A kernel newer than the table may let programs call it. Functions whose result programs may modify have the tag, too. */
function isTagged({ btf, id }: KernelFunction): boolean {
  for (const tag of btf.idsOf("decl_tag")) {
    const type = btf.typeById(tag);
    if (type.kind === "decl_tag" && type.type === id && type.name === "bpf_kfunc") return true;
  }
  return false;
}
