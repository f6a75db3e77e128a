/**
 * The arguments of a helper, one by one against the kinds of spec/helpers.ts. What they say of each other (the map whose
 * key it is, the size of which memory) is collected in CallArguments. Kernel: check_func_arg(), check_reg_type().
 */

import type { ArgSpec } from "../../spec/helpers.ts";
import type { Callee } from "../../spec/kfuncs.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { MapSpec } from "../../spec/map-types.ts";
import type { SpecialField } from "../../spec/special-fields.ts";
import { requireNearPointer, requireUnmodified } from "./ctx.ts";
import { checkDynptr, dynptrSlot, type KnownDynptr } from "./dynptr.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import { requireConstantString } from "./format.ts";
import { BTF_TYPES, PERCPU_TYPES, requireKernelType, SOCKET_BTF_TYPES } from "./helper-btf.ts";
import { checkHelperMemory } from "./helper-memory.ts";
import { checkExchanged, checkExchangePlace } from "./kptr.ts";
import { checkLock } from "./locks.ts";
import { constantMapKey } from "./map-key.ts";
import { isReadOnlyMap } from "./map-value.ts";
import { requireReadable } from "./operands.ts";
import { requestPrecision } from "./precision.ts";
import { checkAlignment } from "./region.ts";
import { baseType, FLAG, isPacketPointer, mayBeNull, REG, type RegState, typeName, withoutSlice } from "./register.ts";
import { constantOf, isZero } from "./scalar.ts";
import type { Frame } from "./state.ts";
import { requireFieldOfMap } from "./timers.ts";

/** Bytes of a stack frame that the helper fills. */
export interface StackBytes {
  readonly frame: Frame;
  readonly off: number;
  readonly size: number;
}

/** What is known of a call when its arguments are checked. Kernel: struct bpf_call_arg_meta. */
export class CallArguments {
  readonly helper: Callee;
  map: MapSpec | null = null;
  mapUid = 0;
  /** the key, where it is a constant and the map an array */
  constantKey: bigint | null = null;
  /** uninitialised stack memory that is given to be filled */
  written: StackBytes | null = null;
  /** largest value of the last size argument */
  largestSize = 0n;
  allocatedBytes = 0;
  subprogram = -1;
  /** the dynptr that exists already */
  dynptr: KnownDynptr | null = null;
  /** pointer to the dynptr whose memory is released */
  releasedDynptr: RegState | null = null;
  /** the reference that is released, 0: none */
  releasedId = 0;
  /** the reference that an argument belongs to, 0: none */
  referenceId = 0;
  /** bpf_kptr_xchg: where the pointer is put in */
  exchanged: SpecialField | null = null;
  /** the per-CPU variable */
  percpu: RegState | null = null;

  constructor(helper: Callee) {
    this.helper = helper;
  }
}

export function checkArguments(env: Env, call: CallArguments): void {
  for (const [index, arg] of call.helper.args.entries()) checkArgument(env, call, arg, index + 1);
  checkMapAccess(env, call);
}

/** Maps that programs may not write, and the constant index of a tail call. Kernel: record_func_map(), record_func_key(). */
function checkMapAccess(env: Env, call: CallArguments): void {
  const { name } = call.helper;
  const writes = ["bpf_map_delete_elem", "bpf_map_update_elem", "bpf_map_push_elem", "bpf_map_pop_elem"].includes(name);
  if (writes && call.map && isReadOnlyMap(call.map)) reject(env, "EACCES", "write into map forbidden");
  if (name !== "bpf_tail_call") return;
  if (call.map!.type !== "prog_array") reject(env, "EINVAL", "expected prog array map for tail call");
  const index = constantOf(env.register(3).value);
  if (env.register(3).type === REG.SCALAR && index !== null && index < BigInt(call.map!.maxEntries)) {
    requestPrecision(env, 3);
  }
}

/** What a value is depends on the map: sockets in socket maps. Kernel: resolve_map_arg_type(). */
function resolvedFor(env: Env, { map, helper }: CallArguments, arg: ArgSpec): ArgSpec {
  if (arg.is !== "mapValue" || map === null) return arg;
  if (map.type === "sockmap" || map.type === "sockhash") {
    if (arg.uninit || arg.maybeNull) reject(env, "EINVAL", "invalid arg_type for sockmap/sockhash");
    return { is: "btfIdSockCommon" };
  }
  return map.type === "bloom_filter" && helper.name === "bpf_map_peek_elem" ? { is: "mapValue" } : arg;
}

function checkArgument(env: Env, call: CallArguments, declared: ArgSpec, register: number): void {
  if (declared.is === "anything" && declared.unchecked) return;
  requireReadable(env, register);
  if (declared.is === "anything") return;
  const reg = env.register(register);
  if (isPacketPointer(reg.type) && !takesPacket(env, call)) {
    reject(env, "EACCES", "helper access to the packet is not allowed");
  }
  const arg = resolvedFor(env, call, declared);
  const isNull = reg.type === REG.SCALAR && isZero(reg.value);
  if (isNull && allowsNull(arg)) requestPrecision(env, register);
  else {
    requireType(env, call, arg, register, reg);
    requireOffset(env, arg, register, reg);
  }
  if (arg.is === "dynptr") {
    checkDynptrArgument(env, call, arg, register, reg);
    return;
  }
  if (isReleased(arg) && reg.refId === 0 && !isNull) {
    reject(env, "EINVAL", `R${register} must be referenced when passed to release function`);
  }
  if (reg.refId !== 0) call.referenceId = reg.refId;
  if (isReleased(arg)) call.releasedId = reg.refId;
  checkKind(env, call, arg, register, reg, isNull);
}

function checkDynptrArgument(
  env: Env,
  call: CallArguments,
  arg: ArgSpec & { readonly is: "dynptr" },
  register: number,
  reg: RegState,
): void {
  if (arg.release) {
    if (reg.type !== REG.STACK) reject(env, "EINVAL", "cannot release unowned const bpf_dynptr");
    const slot = dynptrSlot(env, reg);
    if (slot === null || slot.reg.refId === 0) reject(env, "EINVAL", `arg ${register} is an unacquired reference`);
    call.releasedDynptr = reg;
  }
  const use = arg.uninit ? "construct" : arg.readOnly ? "read" : "change";
  call.dynptr = checkDynptr(env, register, arg.dynptr, use);
}

/** Kernel: may_access_direct_pkt_data(). */
const takesPacket = (env: Env, call: CallArguments): boolean =>
  env.type.packetRead === "always" || (env.type.packetRead && call.helper.packetAccess === true);

const isReleased = (arg: ArgSpec): boolean => "release" in arg && arg.release === true;

const allowsNull = (arg: ArgSpec): boolean =>
  arg.is === "stackOrNull" || ("maybeNull" in arg && arg.maybeNull === true);

const MEMORY_TYPES: readonly number[] = [
  REG.STACK,
  REG.PACKET,
  REG.PACKET_META,
  REG.MAP_KEY,
  REG.MAP_VALUE,
  REG.MEM,
  REG.MEM | FLAG.RINGBUF,
  REG.BUF,
  REG.BTF | FLAG.TRUSTED,
];
const RECORDS_OF_PERF = REG.MEM | FLAG.PERF;
const MEMORY_NAMES: readonly string[] = MEMORY_TYPES.map(typeName);

const SOCKET_TYPES: readonly number[] = [REG.SOCK_COMMON, REG.SOCKET, REG.TCP_SOCK, REG.XDP_SOCK];

function expectedTypes(arg: ArgSpec): { readonly types: readonly number[]; readonly names?: readonly string[] } {
  switch (arg.is) {
    case "mapKey":
    case "mapValue":
    case "mem":
      return { types: [...MEMORY_TYPES, RECORDS_OF_PERF], names: MEMORY_NAMES };
    case "constSize":
    case "constSizeOrZero":
    case "constAllocSizeOrZero":
      return { types: [REG.SCALAR] };
    case "constMapPtr":
      return { types: [REG.MAP_PTR] };
    case "ctx":
      return { types: [REG.CTX] };
    case "func":
      return { types: [REG.FUNC] };
    case "stackOrNull":
      return { types: [REG.STACK] };
    case "constStr":
      return { types: [REG.MAP_VALUE] };
    case "ringbufMem":
      return { types: [REG.MEM | FLAG.RINGBUF] };
    case "perfMem":
      return { types: [RECORDS_OF_PERF] };
    case "scalar":
      return { types: [REG.SCALAR] };
    case "sockCommon":
      return { types: SOCKET_TYPES };
    case "socket":
      return { types: [REG.SOCKET] };
    case "dynptr":
      return { types: [REG.STACK, REG.DYNPTR] };
    case "btfIdSockCommon":
      return { types: [...SOCKET_TYPES, ...SOCKET_BTF_TYPES] };
    case "btfId":
      return { types: BTF_TYPES };
    case "percpuBtfId":
      return { types: PERCPU_TYPES };
    case "spinLock":
    case "kptrXchgDest":
      return { types: [REG.MAP_VALUE, REG.BTF | FLAG.ALLOC] };
    case "timer":
      return { types: [REG.MAP_VALUE] };
    default:
      return unsupported(`arguments of kind ${arg.is}`);
  }
}

/** Kernel: check_reg_type(). */
function requireType(env: Env, call: CallArguments, arg: ArgSpec, register: number, reg: RegState): void {
  const { types, names = types.map(typeName) } = expectedTypes(arg);
  let { type } = reg;
  if ("readOnly" in arg && arg.readOnly) type &= ~FLAG.RDONLY;
  if (allowsNull(arg)) type &= ~FLAG.MAYBE_NULL;
  if (arg.is === "mem") type = withoutSlice(type);
  // Objects of the program's own can be kept too.
  const isExchanged = arg.is === "btfId" && arg.type === "kptr";
  if (isExchanged && type & FLAG.ALLOC) type &= ~(FLAG.ALLOC | FLAG.PERCPU);
  if (types.includes(type)) {
    if (isExchanged) {
      if (mayBeNull(reg.type)) refuseNull(env, register, reg);
      checkExchanged(env, call, register, reg);
      return;
    }
    if (baseType(type) === REG.BTF) requireKernelType(env, call, arg, register, reg);
    return;
  }
  reject(env, "EACCES", `R${register} type=${typeName(reg.type)} expected=${names.join(", ")}`);
}

/** The kernel did not foresee objects of the program's own there. */
function refuseNull(env: Env, register: number, { type }: RegState): never {
  if (type & FLAG.ALLOC) reject(env, "EFAULT", "verifier bug: invalid PTR_TO_BTF_ID register for type match");
  reject(env, "EACCES", `Possibly NULL pointer passed to helper arg${register}`);
}

const NEAR_TYPES: readonly number[] = [
  ...BTF_TYPES,
  REG.BTF | FLAG.ALLOC,
  REG.BTF | FLAG.ALLOC | FLAG.NON_OWNING,
  REG.BTF | FLAG.ALLOC | FLAG.NON_OWNING | FLAG.RCU,
];

/** Kernel: check_func_arg_reg_off(). */
function requireOffset(env: Env, arg: ArgSpec, register: number, reg: RegState): void {
  // What is released lies behind the dynptr, wherever that is.
  if (isReleased(arg) && arg.is === "dynptr" && reg.type === REG.STACK) return;
  if (isReleased(arg) && reg.off !== 0) {
    reject(env, "EINVAL", `R${register} must have zero offset when passed to release func or trusted arg to kfunc`);
  }
  // A pointer with a kernel type may point to a member.
  if (!isReleased(arg) && NEAR_TYPES.includes(reg.type)) {
    requireNearPointer(env, register, reg);
    return;
  }
  const type = reg.type & ~FLAG.RDONLY;
  const isPlainMemory = MEMORY_TYPES.includes(type) || type === RECORDS_OF_PERF || type === REG.SCALAR;
  if (isReleased(arg) || !isPlainMemory) requireUnmodified(env, register, reg);
}

function checkKind(
  env: Env,
  call: CallArguments,
  arg: ArgSpec,
  register: number,
  reg: RegState,
  isNull: boolean,
): void {
  switch (arg.is) {
    case "constMapPtr":
      if (call.map !== null && (call.map !== reg.map || call.mapUid !== reg.mapUid)) {
        const uids = `map_uid=${call.mapUid} doesn't match map pointer in R2 map_uid=${reg.mapUid}`;
        reject(env, "EINVAL", `timer pointer in R1 ${uids}`);
      }
      call.map = reg.map;
      call.mapUid = reg.mapUid;
      return;
    case "mapKey":
      checkHelperMemory(env, call, register, call.map!.keySize, { writes: false, zeroAllowed: false });
      call.constantKey = constantMapKey(env, call.map!, reg);
      return;
    case "mapValue":
      if (isNull) return;
      checkHelperMemory(env, call, register, call.map!.valueSize, {
        writes: arg.uninit === true,
        zeroAllowed: false,
        fills: arg.uninit === true,
      });
      return;
    case "mem":
      if (arg.size !== undefined) checkFixedMemory(env, call, arg, register, reg);
      return;
    case "constSize":
      checkSize(env, call, register, false);
      return;
    case "constSizeOrZero":
      checkSize(env, call, register, true);
      return;
    case "constAllocSizeOrZero":
      checkAllocation(env, call, register, reg);
      return;
    case "constStr":
      requireConstantString(env, register, reg);
      return;
    case "percpuBtfId":
      call.percpu = reg;
      return;
    case "spinLock":
      checkLock(env, register, "spinLock", call.helper.name === "bpf_spin_lock" ? "lock" : "unlock");
      return;
    case "timer":
      call.map = requireFieldOfMap(env, register, reg, "timer");
      call.mapUid = reg.mapUid;
      return;
    case "kptrXchgDest":
      checkExchangePlace(env, call, register, reg);
      return;
    case "func":
      call.subprogram = reg.subprogram;
      return;
    default:
      return;
  }
}

/** The size of the memory that the argument before points to. Kernel: check_mem_size_reg(). */
function checkSize(env: Env, call: CallArguments, register: number, zeroAllowed: boolean): void {
  const { value } = env.register(register);
  call.largestSize = value.umax;
  if (value.smin < 0n) {
    reject(env, "EACCES", `R${register} min value is negative, either use unsigned or 'var &= const'`);
  }
  if (value.umin === 0n && !zeroAllowed) {
    reject(env, "EACCES", `R${register} invalid zero-sized read: u64=[${value.umin},${BigInt.asIntN(64, value.umax)}]`);
  }
  if (value.umax >= BigInt(LIMITS.variableSize)) {
    reject(env, "EACCES", `R${register} unbounded memory access, use 'var &= const' or 'if (var < const)'`);
  }
  const memory = call.helper.args[register - 2];
  const writes = memory?.is === "mem" && (memory.uninit === true || memory.write === true);
  checkHelperMemory(env, call, register - 1, Number(value.umax), {
    writes,
    zeroAllowed,
    // Memory of a length that is not known need not be filled to its end.
    fills: memory?.is === "mem" && memory.uninit === true && constantOf(value) !== null,
  });
  requestPrecision(env, register);
}

/** Memory as long as the helper says itself: a pointer to a number or to a struct. */
function checkFixedMemory(
  env: Env,
  call: CallArguments,
  arg: ArgSpec & { readonly is: "mem" },
  register: number,
  reg: RegState,
): void {
  const writes = arg.uninit === true || arg.write === true;
  const use = { writes, zeroAllowed: false, fills: arg.uninit === true };
  checkHelperMemory(env, call, register, arg.size!, use);
  if (arg.aligned) checkAlignment(env, reg, 0, arg.size!, true);
}

function checkAllocation(env: Env, call: CallArguments, register: number, reg: RegState): void {
  const size = constantOf(reg.value);
  if (size === null) reject(env, "EACCES", `R${register} is not a known constant'`);
  call.allocatedBytes = Number(BigInt.asUintN(32, size));
  requestPrecision(env, register);
}
