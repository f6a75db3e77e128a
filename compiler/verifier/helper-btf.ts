/**
 * Pointers with kernel types that a helper is given or gives: is it the struct that the helper names, may it be written to,
 * what is behind a per-CPU variable. Kernel: check_reg_type(), behind `found:`; RET_PTR_TO_BTF_ID, RET_PTR_TO_MEM_OR_BTF_ID.
 */
import type { ArgSpec } from "../../spec/helpers.ts";
import type { Btf } from "../object/btf/btf.ts";
import { matchesType, type TypeRef } from "./btf-match.ts";
import { btfPointer, requireStruct } from "./btf-pointer.ts";
import { requireNearPointer, requireUnmodified } from "./ctx.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { CallArguments } from "./helper-arguments.ts";
import { FLAG, pointerReg, REG, type RegState, typeName } from "./register.ts";

/** Kernel: btf_ptr_types */
export const BTF_TYPES: readonly number[] = [REG.BTF, REG.BTF | FLAG.TRUSTED, REG.BTF | FLAG.RCU];
/** Kernel: percpu_btf_ptr_types */
export const PERCPU_TYPES: readonly number[] = [
  REG.BTF | FLAG.PERCPU,
  REG.BTF | FLAG.PERCPU | FLAG.RCU,
  REG.BTF | FLAG.PERCPU | FLAG.TRUSTED,
];
/** Kernel: btf_id_sock_common_types */
export const SOCKET_BTF_TYPES: readonly number[] = [REG.BTF, REG.BTF | FLAG.TRUSTED];

/** The kernel struct that a kind of argument wants; null where any will do. */
function wantedStruct(arg: ArgSpec): string | null {
  if (arg.is === "btfId") return arg.type;
  return arg.is === "btfIdSockCommon" ? "sock_common" : null;
}

/** `reg` is a pointer with a kernel type, of a kind that the argument takes. */
export function requireKernelType(env: Env, call: CallArguments, arg: ArgSpec, register: number, reg: RegState): void {
  if (arg.is === "mem" || arg.is === "mapKey" || arg.is === "mapValue") {
    if (arg.is === "mem" && arg.readOnly) return;
    const where = `R${register} type=${typeName(reg.type)}`;
    reject(env, "EACCES", `${call.helper.name}() may write into memory pointed by ${where}`);
  }
  const name = wantedStruct(arg);
  if (name === null) return;
  const wanted = requireStruct(env, name);
  // A socket is released as whatever kind of socket the program has made of it.
  const strict = "release" in arg && arg.release === true && call.helper.name !== "bpf_sk_release";
  const options = { strict, flexibleArrays: (reg.type & FLAG.ALLOC) === 0 };
  if (matchesType(env, { btf: reg.btf!, type: reg.btfType }, reg.off, wanted, options)) return;
  const have = reg.btf!.nameOf(reg.btfType);
  reject(env, "EACCES", `R${register} is of type ${have} but ${name} is expected`);
}

/** A pointer that a global function takes for one to a struct that is alive. Kernel: btf_check_func_arg_match() */
export function requireTrustedStruct(
  env: Env,
  register: number,
  wanted: TypeRef & { readonly mayBeNull: boolean },
): void {
  const reg = env.register(register);
  const type = wanted.mayBeNull ? reg.type & ~FLAG.MAYBE_NULL : reg.type;
  if (!BTF_TYPES.includes(type)) {
    reject(env, "EACCES", `R${register} type=${typeName(reg.type)} expected=${BTF_TYPES.map(typeName).join(", ")}`);
  }
  const options = { strict: false, flexibleArrays: true };
  if (!matchesType(env, { btf: reg.btf!, type: reg.btfType }, reg.off, wanted, options)) {
    const have = reg.btf!.nameOf(reg.btfType);
    reject(env, "EACCES", `R${register} is of type ${have} but ${wanted.btf.nameOf(wanted.type)} is expected`);
  }
  if (BTF_TYPES.includes(reg.type)) requireNearPointer(env, register, reg);
  else requireUnmodified(env, register, reg);
}

/** A CPU's copy of the variable that the first argument names: a struct, or plain memory of its size. */
export function perCpuResult(env: Env, { percpu }: CallArguments, flags: number): RegState {
  const { btf, btfType, type } = percpu!;
  if (isStruct(btf!, btfType)) {
    const ofObject = type & FLAG.RCU ? FLAG.ALLOC | FLAG.RCU : flags & ~FLAG.RDONLY;
    return btfPointer(env, btf!, btfType, ofObject);
  }
  const bytes = btf!.sizeOf(btfType);
  if (bytes === null) {
    const { name } = btf!.resolve(btfType);
    reject(env, "EINVAL", `unable to resolve the size of type '${name}': -22`);
  }
  const memory = pointerReg(REG.MEM | flags);
  memory.memSize = bytes;
  if (flags & FLAG.MAYBE_NULL) memory.id = env.newId();
  return memory;
}

export function isStruct(btf: Btf, type: number): boolean {
  const { kind } = btf.resolve(type);
  return kind === "struct" || kind === "union";
}
