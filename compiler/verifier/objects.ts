/**
 * Objects that a program allocates, of types of its own: made, shared, given back, and what of them loads and stores may
 * touch. Kernel: check_special_kfunc(), check_kfunc_args(), btf_struct_access().
 */
import { specialField } from "../../spec/special-fields.ts";
import type { Btf } from "../object/btf/btf.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { KernelCall } from "./kernel-arguments.ts";
import { isScalarStruct } from "./kernel-parameter.ts";
import { FLAG, pointerReg, REG, type Reg, type RegState } from "./register.ts";
import { findField, isAllocated, objectFields } from "./value-fields.ts";

const OWN = REG.BTF | FLAG.ALLOC;
/** Bytes of a per-CPU object. Kernel: BPF_GLOBAL_PERCPU_MA_MAX_SIZE */
const MOST_PER_CPU_BYTES = 512;

/** The object that is given back. */
export function checkGivenBack(env: Env, call: KernelCall, index: number): void {
  const reg = env.register(index + 1);
  const { name } = call.target;
  const taker =
    reg.type === OWN ? "bpf_obj_drop_impl" : reg.type === (OWN | FLAG.PERCPU) ? "bpf_percpu_obj_drop_impl" : null;
  if (taker === null) reject(env, "EINVAL", `arg#${index} expected pointer to allocated object`);
  if (name !== taker) reject(env, "EINVAL", `arg#${index} expected for ${taker}()`);
  if (reg.refId === 0) reject(env, "EINVAL", "allocated object must be referenced");
}

/** The object that another reference is taken to. */
export function checkCounted(env: Env, call: KernelCall, index: number): void {
  const reg = env.register(index + 1);
  if (!isAllocated(reg)) reject(env, "EINVAL", `arg#${index} is neither owning or non-owning ref`);
  const fields = objectFields(env, reg.btf!, reg.btfType) ?? [];
  if (findField(fields, "refcount") === undefined) {
    reject(env, "EINVAL", `arg#${index} doesn't point to a type with bpf_refcount field`);
  }
  call.isCertain = !(reg.type & FLAG.NON_OWNING) && reg.refId !== 0;
  call.object = { btf: reg.btf!, type: reg.btfType };
}

/** A new object of the type that the constant names in the program's BTF. */
export function newObject(env: Env, call: KernelCall): Reg {
  const id = call.constant!;
  if (id > 0xffff_ffffn) reject(env, "EINVAL", "local type ID argument must be in range [0, U32_MAX]");
  const { btf } = env.program;
  if (!btf) reject(env, "EINVAL", "bpf_obj_new/bpf_percpu_obj_new requires prog BTF");
  const type = Number(id);
  const struct = type < btf.typeCount ? btf.typeById(type) : null;
  if (struct?.kind !== "struct" && struct?.kind !== "union") {
    reject(env, "EINVAL", "bpf_obj_new/bpf_percpu_obj_new type ID argument must be of a struct");
  }
  const isPerCpu = call.target.name === "bpf_percpu_obj_new_impl";
  if (isPerCpu) requirePerCpu(env, btf, type, struct.size);
  return objectPointer(btf, type, isPerCpu ? FLAG.PERCPU : 0);
}

function requirePerCpu(env: Env, btf: Btf, type: number, bytes: number): void {
  if (bytes > MOST_PER_CPU_BYTES) {
    reject(env, "EINVAL", `bpf_percpu_obj_new type size (${bytes}) is greater than ${MOST_PER_CPU_BYTES}`);
  }
  if (!isScalarStruct(env, btf, btf.typeById(type), 0)) {
    reject(env, "EINVAL", "bpf_percpu_obj_new type ID argument must be of a struct of scalars");
  }
  if (objectFields(env, btf, type) !== null) {
    reject(env, "EINVAL", "bpf_percpu_obj_new type ID argument must not contain special fields");
  }
}

export const sharedObject = ({ object }: KernelCall): Reg => objectPointer(object!.btf, object!.type, 0);

export function objectPointer(btf: Btf, type: number, flags: number): Reg {
  const pointer = pointerReg(OWN | flags);
  pointer.btf = btf;
  pointer.btfType = type;
  return pointer;
}

/** Bytes [at, at + size) of an object. */
export function checkObjectAccess(env: Env, reg: RegState, at: number, size: number): void {
  for (const { kind, offsetBytes, sizeBytes } of objectFields(env, reg.btf!, reg.btfType) ?? []) {
    if (at >= offsetBytes + sizeBytes || offsetBytes >= at + size) continue;
    reject(env, "EACCES", `direct access to ${specialField(kind).shown} is disallowed`);
  }
}
