/** What a kernel function returns in r0, by its type in BTF. Kernel: check_kfunc_call(), the return types. */
import type { BtfType } from "../object/btf/types.ts";
import { dynptrSlice } from "./dynptr-functions.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import { nodeResult } from "./graph.ts";
import { iteratorOf } from "./iterators.ts";
import type { KernelCall } from "./kernel-arguments.ts";
import { hasFlag } from "./kernel-function.ts";
import { isScalarType, kindText } from "./kernel-parameter.ts";
import { newObject, sharedObject } from "./objects.ts";
import { acquireReference } from "./references.ts";
import { FLAG, NOT_INIT, pointerReg, REG, type Reg, type RegState, UNKNOWN, ZERO } from "./register.ts";
import { mayHoldLock } from "./value-fields.ts";

export function kernelResult(env: Env, call: KernelCall): RegState {
  const { target } = call;
  const type = target.btf.resolve(target.returns);
  if (type.kind !== "ptr") return isScalarType(type) ? numberResult(call) : NOT_INIT;
  const pointer = resultPointer(env, call, target.btf.skipModifiers(type.type));
  if (pointer === null) return UNKNOWN;
  const mayBeNull = hasFlag(target, "retNull") && !call.isCertain;
  if (mayBeNull) {
    pointer.type |= FLAG.MAYBE_NULL;
    pointer.id = env.newId();
  }
  if (hasFlag(target, "acquire")) {
    pointer.refId = acquireReference(env);
    if (mayBeNull) pointer.id = pointer.refId;
  }
  if (pointer.id === 0 && mayHoldLock(env, pointer)) pointer.id = env.newId();
  return pointer;
}

/** Where a resilient lock is taken, the path on which it could not be was put off. */
const numberResult = ({ target: { name } }: KernelCall): RegState =>
  name === "bpf_res_spin_lock" || name === "bpf_res_spin_lock_irqsave" ? ZERO : UNKNOWN;

/** null: a number, since what it points to is not told. */
function resultPointer(env: Env, call: KernelCall, pointed: number): Reg | null {
  const { target } = call;
  const type = target.btf.typeById(pointed);
  const special = specialResult(env, call);
  if (special !== undefined) return special;
  if (type.kind === "void") return null;
  return type.kind === "struct" ? structPointer(env, call, pointed) : memoryPointer(env, call, pointed, type);
}

/** Results that depend on the arguments. Kernel: check_special_kfunc() */
function specialResult(env: Env, call: KernelCall): Reg | undefined {
  const { target } = call;
  switch (target.spec?.name) {
    case "bpf_cast_to_kern_ctx":
      return kernelContext(env, call);
    case "bpf_rdonly_cast":
      return readOnlyCast(env, call);
    case "bpf_dynptr_slice":
    case "bpf_dynptr_slice_rdwr":
      return dynptrSlice(env, target, call.dynptr!, call.constant!);
    case "bpf_obj_new_impl":
    case "bpf_percpu_obj_new_impl":
      return newObject(env, call);
    case "bpf_refcount_acquire_impl":
      return sharedObject(call);
    case "bpf_list_pop_front":
    case "bpf_list_pop_back":
    case "bpf_rbtree_remove":
      return nodeResult(env, call, true);
    case "bpf_list_front":
    case "bpf_list_back":
    case "bpf_rbtree_first":
    case "bpf_rbtree_root":
    case "bpf_rbtree_left":
    case "bpf_rbtree_right":
      return nodeResult(env, call, false);
    default:
      return undefined;
  }
}

/** Pairs of members, what a program sees and what is behind it, by program type. Kernel: get_kern_ctx_btf_id() */
const CONTEXTS = "bpf_ctx_convert";

function kernelContext(env: Env, { target: { btf } }: KernelCall): Reg {
  const id = btf.findByName(CONTEXTS, "struct");
  const contexts = id === null ? null : btf.typeById(id);
  if (contexts?.kind !== "struct") return unsupported(`bpf_cast_to_kern_ctx without struct ${CONTEXTS}`);
  const wanted = `BPF_PROG_TYPE_${env.program.type.toUpperCase()}_kern`;
  const member = contexts.members.find(({ name }) => name === wanted);
  if (member === undefined) return unsupported(`bpf_cast_to_kern_ctx in programs of type ${env.program.type}`);
  if (btf.typeById(member.type).kind !== "struct") {
    reject(env, "EINVAL", `kern ctx type id ${member.type} is not a struct`);
  }
  return typedPointer(FLAG.TRUSTED, { btf, type: member.type });
}

function readOnlyCast(env: Env, { target: { btf }, constant }: KernelCall): Reg {
  const id = Number(constant);
  const type = id < btf.typeCount ? btf.typeById(id) : null;
  if (type === null)
    return reject(env, "EINVAL", `Unknown type ID ${BigInt.asIntN(64, constant!)} passed to kfunc bpf_rdonly_cast`);
  if (type.kind === "struct" || type.kind === "union") return typedPointer(FLAG.UNTRUSTED, { btf, type: id });
  if (type.kind === "void") return pointerReg(REG.MEM | FLAG.RDONLY | FLAG.UNTRUSTED);
  return reject(env, "EINVAL", "kfunc bpf_rdonly_cast type ID argument must be of a struct or void");
}

function typedPointer(flags: number, { btf, type }: { readonly btf: Reg["btf"]; readonly type: number }): Reg {
  const pointer = pointerReg(REG.BTF | flags);
  pointer.btf = btf;
  pointer.btfType = type;
  return pointer;
}

/** What holds a reference is alive without further ado. */
function structPointer(env: Env, call: KernelCall, type: number): Reg {
  const { target, iterator } = call;
  let trust = 0;
  if (target.name === "bpf_get_kmem_cache") trust = FLAG.UNTRUSTED;
  else if (iterator !== null && hasFlag(target, "iterNext")) {
    trust = iteratorOf(env.state, iterator).type & FLAG.RCU ? FLAG.RCU : FLAG.TRUSTED;
  }
  return typedPointer(trust, { btf: target.btf, type });
}

function memoryPointer(env: Env, call: KernelCall, pointed: number, type: BtfType): Reg {
  const { target } = call;
  const isCookie = target.name === "bpf_session_cookie";
  const declared = call.returnedBytes !== 0 || isCookie;
  const bytes = call.returnedBytes || (target.btf.sizeOf(pointed) ?? 0);
  if (bytes === 0) {
    const what = `returns pointer type ${kindText(type)} ${type.name} is not supported`;
    reject(env, "EINVAL", `kernel function ${target.name} ${what}`);
  }
  const memory = pointerReg(REG.MEM | (!declared || call.returnsReadOnly ? FLAG.RDONLY : 0));
  memory.memSize = bytes;
  // Gone with the reference that it was taken from.
  memory.refId = call.referenceId;
  return memory;
}
