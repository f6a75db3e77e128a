/**
 * Pointers that a map's value or an allocated object keeps: what loads of them yield, what may be stored there, and
 * bpf_kptr_xchg, which puts one in and takes one out. Kernel: check_map_kptr_access(), map_kptr_match_type(),
 * process_kptr_func().
 */
import { CLASS, MODE } from "../../spec/isa.ts";
import type { SpecialField } from "../../spec/special-fields.ts";
import { isInRcuSection, kernelStruct, matchesType, type TypeRef } from "./btf-match.ts";
import { btfPointer } from "./btf-pointer.ts";
import { requireNearPointer } from "./ctx.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import type { CallArguments } from "./helper-arguments.ts";
import type { Access } from "./memory.ts";
import { requestPrecision } from "./precision.ts";
import { acquireReference } from "./references.ts";
import { baseType, edit, FLAG, pointerReg, REG, type RegState, typeName, UNKNOWN } from "./register.ts";
import { constantOf, isZero } from "./scalar.ts";
import { mapRegisters } from "./state.ts";
import { fieldsBehind, isAllocated, isPointerField, objectFields } from "./value-fields.ts";

/** The type that a kept pointer points to. */
function targetOf(env: Env, field: SpecialField): TypeRef {
  const { btf } = env.program;
  if (!field.ofKernel) return { btf: btf!, type: field.type! };
  const name = btf!.nameOf(field.type!);
  return kernelStruct(env, name) ?? unsupported(`kept pointers to ${name} without BTF of a kernel that has it`);
}
const nameOf = ({ btf, type }: TypeRef): string => btf.nameOf(type);

/** A load or store of exactly the pointer, as checkFields() has seen. Returns what is loaded, null where nothing is. */
export function checkPointerField(env: Env, access: Access, field: SpecialField): RegState | null {
  const insn = env.insns[env.insnIndex]!;
  if ((insn.opcode & 0xe0) !== MODE.MEM) {
    reject(env, "EACCES", "kptr in map can only be accessed using BPF_MEM instruction mode");
  }
  const kind = insn.opcode & 7;
  if (kind === CLASS.LDX) return loaded(env, field);
  if (field.kind === "kptr" || field.kind === "percpuKptr") {
    reject(env, "EACCES", "store to referenced kptr disallowed");
  }
  if (field.kind === "uptr") reject(env, "EACCES", "store to uptr disallowed");
  if (kind === CLASS.ST) {
    if (insn.imm === 0) return null;
    reject(env, "EACCES", `BPF_ST imm must be 0 when storing to kptr at off=${field.offsetBytes}`);
  }
  const value = env.register(access.register);
  if (value.type === REG.SCALAR && isZero(value.value)) requestPrecision(env, access.register);
  else requireFitting(env, field, value, access.register);
  return null;
}

function loaded(env: Env, field: SpecialField): RegState {
  if (field.kind === "uptr") {
    const memory = pointerReg(REG.MEM | FLAG.MAYBE_NULL);
    memory.memSize = env.program.btf!.sizeOf(field.type!) ?? 0;
    memory.id = env.newId();
    return memory;
  }
  const target = targetOf(env, field);
  return btfPointer(env, target.btf, target.type, FLAG.MAYBE_NULL | trustOf(env, field, target));
}

/** Kernel types that are freed after a grace period. Kernel: rcu_protected_types */
const RCU_PROTECTED: ReadonlySet<string> = new Set([
  "prog_test_ref_kfunc",
  "cgroup",
  "bpf_cpumask",
  "task_struct",
  "bpf_crypto_ctx",
]);

/** Kernel: btf_ld_kptr_type(). */
function trustOf(env: Env, field: SpecialField, target: TypeRef): number {
  const isPerCpu = field.kind === "percpuKptr";
  const isProtected = isPerCpu || (field.kind === "kptr" && (!field.ofKernel || RCU_PROTECTED.has(nameOf(target))));
  if (!isProtected || !isInRcuSection(env)) return FLAG.UNTRUSTED;
  const isKnown = !field.ofKernel && objectFields(env, target.btf, target.type) !== null;
  return FLAG.RCU | (isPerCpu ? FLAG.PERCPU : field.ofKernel ? 0 : FLAG.ALLOC) | (isKnown ? FLAG.NON_OWNING : 0);
}

const KERNEL_FLAGS = FLAG.MAYBE_NULL | FLAG.TRUSTED | FLAG.RCU;
const OWN_FLAGS = FLAG.MAYBE_NULL | FLAG.ALLOC;
const BASE_BITS = 0xff;

/** Whether the pointer in `register` may be kept in the field. */
function requireFitting(env: Env, field: SpecialField, reg: RegState, register: number): void {
  const target = targetOf(env, field);
  const isPlain = field.kind === "kptrUntrusted";
  let name = "";
  const refuse = (): never => {
    const also = isPlain ? ` or untrusted_ptr_${nameOf(target)}` : "";
    const got = `R${register} type=${typeName(reg.type)}${name}`;
    return reject(env, "EACCES", `invalid kptr access, ${got} expected=ptr_${nameOf(target)}${also}`);
  };
  if (baseType(reg.type) !== REG.BTF) refuse();
  const isOwn = reg.btf === env.program.btf;
  const allowed = isOwn
    ? OWN_FLAGS | (field.kind === "percpuKptr" ? FLAG.PERCPU : 0)
    : KERNEL_FLAGS | (isPlain ? FLAG.UNTRUSTED : 0);
  if (reg.type & ~BASE_BITS & ~allowed) refuse();
  name = reg.btf!.nameOf(reg.btfType);
  requireNearPointer(env, register, reg);
  const options = { strict: !isPlain, flexibleArrays: !isAllocated(reg) };
  if (!matchesType(env, { btf: reg.btf!, type: reg.btfType }, reg.off, target, options)) refuse();
}

/** Where bpf_kptr_xchg puts a pointer in, its first argument. */
export function checkExchangePlace(env: Env, call: CallArguments, register: number, reg: RegState): void {
  if (!isAllocated(reg)) {
    const map = reg.map!;
    if (!map.btf) reject(env, "EINVAL", `map '${map.name}' has to have BTF in order to use bpf_kptr_xchg`);
    call.map = map;
  }
  const variable = constantOf(reg.value);
  if (variable === null) {
    reject(env, "EINVAL", `R${register} doesn't have constant offset. kptr has to be at the constant offset`);
  }
  const fields = fieldsBehind(env, reg).filter((field) => isPointerField(field) && field.kind !== "uptr");
  if (fields.length === 0) reject(env, "EINVAL", `R${register} has no valid kptr`);
  const at = reg.off + Number(BigInt.asIntN(32, variable));
  const field = fields.find((one) => one.offsetBytes === at);
  if (field === undefined) reject(env, "EACCES", `off=${at} doesn't point to kptr`);
  if (field.kind === "kptrUntrusted") reject(env, "EACCES", `off=${at} kptr isn't referenced kptr`);
  call.exchanged = field;
}

/** What is put in, its second argument: not null. */
export function checkExchanged(env: Env, call: CallArguments, register: number, reg: RegState): void {
  requireFitting(env, call.exchanged!, reg, register);
}

/** The pointer that was there: the program's to give back. */
export function exchangeResult(env: Env, call: CallArguments): RegState {
  const field = call.exchanged!;
  const target = targetOf(env, field);
  const own = field.ofKernel ? 0 : FLAG.ALLOC | (field.kind === "percpuKptr" ? FLAG.PERCPU : 0);
  const pointer = edit(btfPointer(env, target.btf, target.type, FLAG.MAYBE_NULL | own));
  pointer.id = pointer.refId = acquireReference(env);
  return pointer;
}

/**
 * The pointer belongs to the map from here on. In an RCU section the program may go on reading a per-CPU object.
 * False where it was not held.
 */
export function giveUpExchanged(env: Env, id: number): boolean {
  const { state } = env;
  const rest = state.references.filter((reference) => reference.id !== id || reference.kind !== "pointer");
  if (rest.length === state.references.length) return false;
  state.references = rest;
  const staysReadable = isInRcuSection(env);
  mapRegisters(state, (reg) => {
    if (reg.refId !== id) return reg;
    if (!staysReadable || !(reg.type & FLAG.ALLOC) || !(reg.type & FLAG.PERCPU)) return UNKNOWN;
    const kept = edit(reg);
    kept.refId = 0;
    kept.type = (kept.type & ~FLAG.ALLOC) | FLAG.RCU;
    return kept;
  });
  return true;
}
