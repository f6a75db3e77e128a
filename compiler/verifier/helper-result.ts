/** What a helper returns in r0. Kernel: check_helper_call(), the return types; do_refine_retval_range(). */
import type { MapSpec } from "../../spec/map-types.ts";
import { structPointer } from "./btf-pointer.ts";
import type { Env } from "./env.ts";
import { unsupported } from "./failure.ts";
import type { CallArguments } from "./helper-arguments.ts";
import { perCpuResult } from "./helper-btf.ts";
import { exchangeResult } from "./kptr.ts";
import { acquireReference } from "./references.ts";
import { FLAG, NOT_INIT, pointerReg, REG, type RegState, scalarReg, UNKNOWN } from "./register.ts";
import { S64_MAX, type Scalar } from "./scalar.ts";
import { draftOf, settle } from "./scalar-bounds.ts";
import { castResult, socketResult } from "./socket.ts";
import { mayHoldLock } from "./value-fields.ts";

export function helperResult(env: Env, call: CallArguments): RegState {
  const { helper } = call;
  switch (helper.ret) {
    case "int":
    case "u32":
    case "u64":
      return integerResult(env, call);
    case "void":
      return NOT_INIT;
    case "mapValueOrNull":
      return mapValue(env, call);
    case "mapValue":
      return knownMapValue(call);
    case "ringbufMemOrNull":
      return reservedRecord(env, call, FLAG.RINGBUF);
    case "perfMemOrNull":
      return reservedRecord(env, call, FLAG.PERF);
    case "dynptrMemOrNull":
      return dynptrMemory(env, call);
    case "socketOrNull":
      return socketResult(env, call, REG.SOCKET);
    case "sockCommonOrNull":
      return socketResult(env, call, REG.SOCK_COMMON);
    case "tcpSockOrNull":
      return socketResult(env, call, REG.TCP_SOCK);
    case "btfId":
      return structPointer(env, helper.retType!, 0);
    case "btfIdTrusted":
      return structPointer(env, helper.retType!, FLAG.TRUSTED);
    case "btfIdOrNull":
      return castResult(call, structPointer(env, helper.retType!, FLAG.MAYBE_NULL));
    case "memOrBtfId":
      return perCpuResult(env, call, FLAG.RDONLY);
    case "memOrBtfIdOrNull":
      return perCpuResult(env, call, FLAG.RDONLY | FLAG.MAYBE_NULL);
    case "kptrOrNull":
      return exchangeResult(env, call);
    default:
      return unsupported(`results of ${helper.name}`);
  }
}

/** The string reads return an error or a length up to the size they were given. */
const BOUNDED_BY_SIZE: ReadonlySet<string> = new Set([
  "bpf_get_stack",
  "bpf_get_task_stack",
  "bpf_probe_read_str",
  "bpf_probe_read_kernel_str",
  "bpf_probe_read_user_str",
]);
const MOST_ERRNO = 4095;

function integerResult(env: Env, call: CallArguments): RegState {
  if (call.helper.name === "bpf_get_smp_processor_id" && env.cpus !== null) return scalarReg(upTo(env.cpus - 1));
  if (!BOUNDED_BY_SIZE.has(call.helper.name)) return UNKNOWN;
  return scalarReg(signedRange(-MOST_ERRNO, call.largestSize));
}

function upTo(max: number): Scalar {
  const draft = draftOf(UNKNOWN.value);
  draft.smin = 0n;
  draft.s32min = 0;
  draft.smax = draft.umax = BigInt(max);
  draft.s32max = draft.u32max = max;
  return settle(draft);
}

function signedRange(min: number, max: bigint): Scalar {
  const draft = draftOf(UNKNOWN.value);
  draft.smin = BigInt(min);
  draft.s32min = min;
  draft.smax = max > S64_MAX ? S64_MAX : max;
  draft.s32max = Number(BigInt.asIntN(32, max));
  return settle(draft);
}

/** Storage that is there whenever the program runs. */
function knownMapValue(call: CallArguments): RegState {
  const value = pointerReg(REG.MAP_VALUE);
  value.map = call.map;
  value.mapUid = call.mapUid;
  return value;
}

function mapValue(env: Env, call: CallArguments): RegState {
  const isLookup = call.helper.name === "bpf_map_lookup_elem";
  // A map that is sized at load has one element at least. The value of another CPU may be null for the CPU's sake.
  const isInside = call.constantKey !== null && call.constantKey < BigInt(Math.max(1, call.map!.maxEntries));
  const neverNull = isLookup && isInside;
  const value = pointerReg(REG.MAP_VALUE | (neverNull ? 0 : FLAG.MAYBE_NULL));
  value.map = call.map;
  value.mapUid = call.mapUid;
  if (!neverNull || mayHoldLock(env, value)) value.id = env.newId();
  requireJudged(call.map!);
  // A socket that is looked up in a map must be released. Kernel: is_acquire_function().
  const isSocket = call.map!.type === "sockmap" || call.map!.type === "sockhash";
  if (isSocket && isLookup) value.id = value.refId = acquireReference(env);
  return value;
}

/** Values that are no plain memory. */
function requireJudged(map: MapSpec): void {
  const isOuter = map.type === "array_of_maps" || map.type === "hash_of_maps";
  if (isOuter && map.inner === null) unsupported("maps of maps without a template");
}

function reservedRecord(env: Env, call: CallArguments, flag: number): RegState {
  const record = pointerReg(REG.MEM | flag | FLAG.MAYBE_NULL);
  record.memSize = call.allocatedBytes;
  // The id for the null check is drawn first, then replaced by the reference's.
  env.newId();
  record.id = record.refId = acquireReference(env);
  return record;
}

/** Good as long as the dynptr is. */
function dynptrMemory(env: Env, call: CallArguments): RegState {
  const slice = pointerReg(REG.MEM | FLAG.MAYBE_NULL);
  slice.memSize = call.allocatedBytes;
  slice.id = env.newId();
  slice.dynptrId = call.dynptr!.id;
  slice.refId = call.dynptr!.refId;
  return slice;
}
