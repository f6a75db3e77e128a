/**
 * The arguments of a call of a kernel function, one by one. What a pointer may be is decided by the parameter's type and name
 * (kernel-parameter.ts) and by what the register holds. Kernel: check_kfunc_args().
 */

import { LIMITS } from "../../spec/limits.ts";
import type { MapSpec } from "../../spec/map-types.ts";
import type { SpecialField } from "../../spec/special-fields.ts";
import type { BtfParameter } from "../object/btf/types.ts";
import {
  isNoCastAlias,
  isRcuProtected,
  isTrusted,
  kernelStruct,
  kernelTypeOf,
  matchesType,
  type TypeRef,
} from "./btf-match.ts";
import { requireUnmodified } from "./ctx.ts";
import type { KnownDynptr } from "./dynptr.ts";
import { checkKernelDynptr } from "./dynptr-functions.ts";
import type { Env } from "./env.ts";
import { Rejection, reject, unsupported } from "./failure.ts";
import { requireConstantString } from "./format.ts";
import { checkNode, checkRoot } from "./graph.ts";
import { checkHelperMemory } from "./helper-memory.ts";
import { checkIteratorArgument, type IteratorPlace } from "./iterators.ts";
import { hasFlag, type KernelFunction } from "./kernel-function.ts";
import {
  hasSuffix,
  isNullRegister,
  isScalarType,
  kindText,
  type PointerKind,
  pointedType,
  pointerKind,
} from "./kernel-parameter.ts";
import { checkLock } from "./locks.ts";
import { notNull } from "./nullness.ts";
import { checkCounted, checkGivenBack } from "./objects.ts";
import { requestPrecision } from "./precision.ts";
import { baseType, FLAG, mayBeNull, REG, type RegState, typeName } from "./register.ts";
import { constantOf, isConstant } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";
import { checkIrqFlag } from "./sections.ts";
import { requireFieldOfMap } from "./timers.ts";
import { findField } from "./value-fields.ts";

/** What is known of a call when its arguments are checked. Kernel: struct bpf_kfunc_call_arg_meta. */
export class KernelCall {
  readonly target: KernelFunction;
  /** the argument that must be a constant (`__k`, `__szk`) */
  constant: bigint | null = null;
  /** bytes of memory that the function returns; 0: what its type says */
  returnedBytes = 0;
  returnsReadOnly = false;
  map: MapSpec | null = null;
  mapUid = 0;
  /** the reference that an argument belongs to, 0: none */
  referenceId = 0;
  /** register whose reference is given back, 0: none */
  releaseRegister = 0;
  /** the list or tree */
  root: SpecialField | null = null;
  /** type of the object that another reference is taken to */
  object: TypeRef | null = null;
  /** the result is not null, whatever the function says */
  isCertain = false;
  /** the callback, -1: none */
  subprogram = -1;
  /** the last of the dynptrs that exist already */
  dynptr: KnownDynptr | null = null;
  /** where the iterator lies that is stepped or ended */
  iterator: IteratorPlace | null = null;

  constructor(target: KernelFunction) {
    this.target = target;
  }
}

export function checkKernelArguments(env: Env, call: KernelCall): void {
  const { name, parameters, btf } = call.target;
  if (parameters.length > LIMITS.callArguments) {
    reject(env, "EINVAL", `Function ${name} has ${parameters.length} > ${LIMITS.callArguments} args`);
  }
  for (let index = 0; index < parameters.length; index++) {
    const parameter = parameters[index]!;
    if (hasSuffix(parameter, "__prog") || hasSuffix(parameter, "__ign")) continue;
    const type = btf.resolve(parameter.type);
    if (isScalarType(type)) checkNumber(env, call, parameter, index + 1);
    else if (type.kind === "ptr") {
      const kind = checkPointer(env, call, index);
      // The size was looked at with its memory.
      if (kind === "memory and size") index++;
    } else reject(env, "EINVAL", `Unrecognized arg#${index} type ${kindText(type)}`);
  }
  if (hasFlag(call.target, "release") && call.releaseRegister === 0) {
    reject(env, "EINVAL", `release kernel function ${name} expects refcounted PTR_TO_BTF_ID`);
  }
}

function checkNumber(env: Env, call: KernelCall, parameter: BtfParameter, register: number): void {
  const reg = env.register(register);
  if (reg.type !== REG.SCALAR) reject(env, "EINVAL", `R${register} is not a scalar`);
  const constant = constantOf(reg.value);
  if (hasSuffix(parameter, "__k")) {
    if (constant === null) reject(env, "EINVAL", `R${register} must be a known constant`);
    requestPrecision(env, register);
    call.constant = constant;
    return;
  }
  const isReadOnly = parameter.name === "rdonly_buf_size";
  if (!isReadOnly && parameter.name !== "rdwr_buf_size") return;
  if (call.returnedBytes !== 0) reject(env, "EINVAL", "2 or more rdonly/rdwr_buf_size parameters for kfunc");
  if (constant === null) reject(env, "EINVAL", `R${register} is not a const`);
  if (constant > 0xffff_ffffn) reject(env, "EINVAL", `R${register} rdonly/rdwr_buf_size exceeds u32 max`);
  call.returnsReadOnly = isReadOnly;
  call.returnedBytes = Number(constant);
  requestPrecision(env, register);
}

function checkPointer(env: Env, call: KernelCall, index: number): PointerKind {
  const { target } = call;
  const register = index + 1;
  const reg = env.register(register);
  const wantsTrust = hasFlag(target, "trustedArgs") || hasFlag(target, "rcu") || hasFlag(target, "release");
  const doubtful = isNullRegister(reg) || mayBeNull(reg.type);
  if (wantsTrust && doubtful && !hasSuffix(target.parameters[index], "__nullable")) {
    reject(env, "EACCES", `Possibly NULL pointer passed to trusted arg${index}`);
  }
  if (reg.refId !== 0) {
    call.referenceId = reg.refId;
    if (hasFlag(target, "release")) call.releaseRegister = register;
  }
  const kind = pointerKind(env, target, index);
  if (kind === "null") return kind;
  if (kind === "map") noteMap(env, call, register, reg);
  if (wantsTrust && (kind === "map" || kind === "allocated" || kind === "btf"))
    requireTrust(env, target, register, reg);
  checkOffset(env, kind, register, reg, call.releaseRegister === register);
  checkKind(env, call, kind, index);
  return kind;
}

function noteMap(env: Env, call: KernelCall, register: number, reg: RegState): void {
  // What other pointers keep in the map's place is told apart later.
  const isOther = reg.btf !== null || reg.memSize !== 0 || reg.range !== 0 || reg.subprogram !== 0;
  if (reg.map === null && !isOther) reject(env, "EINVAL", `pointer in R${register} isn't map pointer`);
  const isSame = call.map === null || (call.map === reg.map && call.mapUid === reg.mapUid);
  // The kernel compares with a map of work alone: of others with special fields it lets any pass.
  if (!isSame && !holdsOtherFields(reg.map)) {
    const [what, first] = findField(reg.map?.fields ?? [], "taskWork")
      ? (["bpf_task_work", 2] as const)
      : (["workqueue", 1] as const);
    const uids = `map_uid=${call.mapUid} doesn't match map pointer in R${first + 1} map_uid=${reg.mapUid}`;
    reject(env, "EINVAL", `${what} pointer in R${first} ${uids}`);
  }
  call.map = reg.map;
  call.mapUid = reg.mapUid;
}

function holdsOtherFields(map: MapSpec | null): boolean {
  const fields = map?.fields ?? [];
  return fields.length > 0 && !findField(fields, "workqueue", "taskWork");
}

function requireTrust(env: Env, target: KernelFunction, register: number, reg: RegState): void {
  if (isTrusted(reg)) return;
  if (!hasFlag(target, "rcu")) reject(env, "EINVAL", `R${register} must be referenced or trusted`);
  if (!isRcuProtected(reg)) reject(env, "EINVAL", `R${register} must be a rcu pointer`);
}

const MEMORY_TYPES: readonly number[] = [
  REG.STACK,
  REG.PACKET,
  REG.PACKET_META,
  REG.MAP_KEY,
  REG.MAP_VALUE,
  REG.MEM,
  REG.MEM | FLAG.RDONLY,
  REG.MEM | FLAG.RINGBUF,
  REG.BUF,
  REG.BUF | FLAG.RDONLY,
  REG.ARENA,
  REG.SCALAR,
];
const BTF_TYPES: readonly number[] = [
  0,
  FLAG.ALLOC,
  FLAG.TRUSTED,
  FLAG.RCU,
  FLAG.ALLOC | FLAG.NON_OWNING,
  FLAG.ALLOC | FLAG.NON_OWNING | FLAG.RCU,
].map((flags) => REG.BTF | flags);

/** Kernel: check_func_arg_reg_off(). */
function checkOffset(env: Env, kind: PointerKind, register: number, reg: RegState, isReleased: boolean): void {
  if (kind === "dynptr" && reg.type === REG.STACK) return;
  if (isReleased && reg.off !== 0) {
    reject(env, "EINVAL", `R${register} must have zero offset when passed to release func or trusted arg to kfunc`);
  }
  if (!isReleased && MEMORY_TYPES.includes(reg.type)) return;
  if (isReleased || !BTF_TYPES.includes(reg.type)) {
    requireUnmodified(env, register, reg);
    return;
  }
  const name = typeName(reg.type);
  if (reg.off < 0) reject(env, "EACCES", `negative offset ${name} ptr R${register} off=${reg.off} disallowed`);
  if (!isConstant(reg.value) || reg.value.umax !== 0n) {
    reject(env, "EACCES", `variable ${name} access var_off=${maskText(reg.value)} disallowed`);
  }
}

function checkKind(env: Env, call: KernelCall, kind: PointerKind, index: number): void {
  const register = index + 1;
  const reg = env.register(register);
  const { name } = call.target;
  switch (kind) {
    case "null":
      break;
    case "ctx":
      if (reg.type !== REG.CTX)
        reject(env, "EINVAL", `arg#${index} expected pointer to ctx, but got ${typeName(reg.type)}`);
      break;
    case "iterator":
      call.iterator = checkIteratorArgument(env, call.target, index);
      if (call.iterator !== null) call.referenceId = call.iterator.referenceId;
      break;
    case "map":
    case "btf":
      checkTyped(env, call, kind, index);
      break;
    case "memory":
      checkMemory(env, call, index);
      break;
    case "memory and size":
      checkSizedMemory(env, call, index);
      break;
    case "callback":
      if (reg.type !== REG.FUNC) reject(env, "EINVAL", `arg${index} expected pointer to func`);
      call.subprogram = reg.subprogram;
      break;
    case "constant string":
      if (reg.type !== REG.MAP_VALUE) reject(env, "EINVAL", `arg#${index} doesn't point to a const string`);
      requireConstantString(env, register, reg);
      break;
    case "irq flag":
      if (reg.type !== REG.STACK) reject(env, "EINVAL", `arg#${index} doesn't point to an irq flag on stack`);
      checkIrqFlag(env, name, register);
      break;
    case "dynptr":
      call.dynptr = checkKernelDynptr(env, call.target, index, call.dynptr);
      break;
    case "allocated":
      checkGivenBack(env, call, index);
      break;
    case "refcounted":
      checkCounted(env, call, index);
      break;
    case "list head":
      checkRoot(env, call, index, "listHead");
      break;
    case "tree root":
      checkRoot(env, call, index, "rbRoot");
      break;
    case "list node":
      checkNode(env, call, index, "listHead");
      break;
    case "tree node":
      checkNode(env, call, index, "rbRoot");
      break;
    case "workqueue":
      checkWork(env, call, index, "workqueue");
      break;
    case "task work":
      checkWork(env, call, index, "taskWork");
      break;
    case "resilient lock":
      checkResilientLock(env, call, index);
  }
}

/** Work that is done later, in a map's value. */
function checkWork(env: Env, call: KernelCall, index: number, kind: "workqueue" | "taskWork"): void {
  const reg = env.register(index + 1);
  if (reg.type !== REG.MAP_VALUE) reject(env, "EINVAL", `arg#${index} doesn't point to a map value`);
  call.map = requireFieldOfMap(env, index + 1, reg, kind);
  call.mapUid = reg.mapUid;
}

function checkResilientLock(env: Env, { target: { name } }: KernelCall, index: number): void {
  const { type } = env.register(index + 1);
  if (type !== REG.MAP_VALUE && type !== (REG.BTF | FLAG.ALLOC)) {
    reject(env, "EINVAL", `arg#${index} doesn't point to map value or allocated object`);
  }
  const kind = name.includes("irq") ? "resilientIrqLock" : "resilientLock";
  checkLock(env, index + 1, kind, name.includes("unlock") ? "unlock" : "lock");
}

const UNSAFE = FLAG.MAYBE_NULL | FLAG.RDONLY | FLAG.UNTRUSTED | FLAG.PERCPU | FLAG.USER;

/** A pointer to what has a kernel type. Kernel: process_kf_arg_ptr_to_btf_id() */
function checkTyped(env: Env, call: KernelCall, kind: "map" | "btf", index: number): void {
  const register = index + 1;
  const reg = env.register(register);
  const have = kernelTypeOf(env, reg);
  const isUnsafe = (reg.type & UNSAFE) !== 0 && !isRcuProtected(reg);
  if (have === null || (baseType(reg.type) === REG.BTF && isUnsafe)) {
    const plain = baseType(reg.type) | (reg.type & (FLAG.TRUSTED | FLAG.ALLOC | FLAG.NON_OWNING));
    reject(env, "EINVAL", `arg#${index} is ${typeName(reg.type)} expected ${typeName(plain)} or socket`);
  }
  const wanted = wantedType(env, call.target, kind, index);
  const isGivenBack = hasFlag(call.target, "release") && reg.refId !== 0;
  const strict = isGivenBack || isNoCastAlias(have, wanted);
  const wantedName = wanted.btf.nameOf(wanted.type);
  const name = have.btf.nameOf(have.type);
  const flexibleArrays = (reg.type & FLAG.ALLOC) === 0;
  if (matchesType(env, have, reg.off, wanted, { strict, flexibleArrays })) return;
  // What is behind a context may be passed for it: the function casts.
  if ((wantedName === "__sk_buff" && name === "sk_buff") || (wantedName === "xdp_md" && name === "xdp_buff")) return;
  const wantedText = `${kindText(wanted.btf.typeById(wanted.type))} ${wantedName}`;
  const text = `${kindText(have.btf.typeById(have.type))} ${name}`;
  reject(
    env,
    "EINVAL",
    `kernel function ${call.target.name} args#${index} expected pointer to ${wantedText} but R${register} has a pointer to ${text}`,
  );
}

function wantedType(env: Env, { btf, parameters }: KernelFunction, kind: "map" | "btf", index: number): TypeRef {
  if (kind === "map") return kernelStruct(env, "bpf_map") ?? unsupported("a kernel without struct bpf_map");
  const pointer = btf.resolve(parameters[index]!.type);
  return { btf, type: btf.skipModifiers(pointer.kind === "ptr" ? pointer.type : 0) };
}

/** Memory of the size of the parameter's type. Kernel: check_mem_reg() */
function checkMemory(env: Env, { target: { btf, parameters } }: KernelCall, index: number): void {
  const pointer = btf.resolve(parameters[index]!.type);
  const pointed = pointedType(btf, parameters[index]!);
  const bytes = pointer.kind === "ptr" ? btf.sizeOf(btf.skipModifiers(pointer.type)) : null;
  if (bytes === null) {
    const what = `reference type('${kindText(pointed)} ${pointed.name}') size cannot be determined: -22`;
    reject(env, "EINVAL", `arg#${index} ${what}`);
  }
  if (!isNullRegister(env.register(index + 1))) readAndWrite(env, index + 1, bytes);
}

/** The function may read and write all of it, whatever it does. What may be null counts as not null. */
function readAndWrite(env: Env, register: number, bytes: number): void {
  const reg = env.register(register);
  env.registers[register] = mayBeNull(reg.type) ? notNull(reg) : reg;
  checkHelperMemory(env, null, register, bytes, { writes: false, zeroAllowed: true });
  checkHelperMemory(env, null, register, bytes, { writes: true, zeroAllowed: true });
  env.registers[register] = reg;
}

function checkSizedMemory(env: Env, call: KernelCall, index: number): void {
  const { parameters } = call.target;
  const isOptional = hasSuffix(parameters[index], "__opt");
  if (!(isOptional && isNullRegister(env.register(index + 1)))) checkPair(env, index);
  if (!hasSuffix(parameters[index + 1], "__szk")) return;
  const constant = constantOf(env.register(index + 2).value);
  if (constant === null) reject(env, "EINVAL", `R${index + 2} must be a known constant`);
  call.constant = constant;
}

/** Kernel: check_kfunc_mem_size_reg(). */
function checkPair(env: Env, index: number): void {
  const register = index + 2;
  try {
    const { value } = env.register(register);
    if (value.smin < 0n) {
      reject(env, "EACCES", `R${register} min value is negative, either use unsigned or 'var &= const'`);
    }
    if (value.umax >= BigInt(LIMITS.variableSize)) {
      reject(env, "EACCES", `R${register} unbounded memory access, use 'var &= const' or 'if (var < const)'`);
    }
    readAndWrite(env, register - 1, Number(value.umax));
    requestPrecision(env, register);
  } catch (error) {
    if (!(error instanceof Rejection)) throw error;
    reject(env, error.errno, `arg#${index} arg#${index + 1} memory, len pair leads to invalid memory access`);
  }
}
