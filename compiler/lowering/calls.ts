/**
 * Calls: of subprograms, of helpers in the library or in TypeScript. The signature of a helper follows from its row, as the
 * comment on top of spec/helpers.ts says. Callbacks are in callbacks.ts, tail calls in tail-call.ts.
 */
import { BugError, UnsupportedError } from "../../base/errors.ts";
import {
  type Callee,
  calleeOf,
  type HelperSpec,
  IMPORT,
  type LibraryName,
  MAP_OPERATIONS,
  type MapHelperName,
  WORKER,
} from "../../spec/index.ts";
import { PSEUDO_CALL } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import type { Program } from "../program.ts";
import { pointerIn } from "./address.ts";
import { type Body, factsAt } from "./body.ts";
import { lowerForEach, lowerLoop } from "./callbacks.ts";
import type { Expr, ValueType } from "./emit.ts";
import { lowerKernelFunction, requireLowered } from "./kernel-functions.ts";
import { lowerLookup } from "./lookup.ts";
import { setResult } from "./result.ts";
import { spillSlots } from "./slots.ts";
import { storageOf } from "./storage.ts";
import { lowerTailCall } from "./tail-call.ts";
import { subprogramName } from "./unit.ts";
import { lowerDrain } from "./user-ringbuf.ts";

export function lowerCall(body: Body, insn: Insn, insnIndex: number): Expr[] {
  if (insn.src === PSEUDO_CALL.SUBPROG) return lowerSubprogramCall(body, insnIndex + 1 + insn.imm, insnIndex);
  if (isKernelCall(insn)) return lowerKernelFunction(body, requireLowered(body.program, insn, insnIndex));
  const helper = supportedHelper(body.program, insn, insnIndex);
  const inPlace = helper.name === "bpf_map_lookup_elem" ? lowerLookup(body, insnIndex) : null;
  if (inPlace !== null) return inPlace;
  return [...spillSlots(body.wasm, body.frame, body.slots.readBy(insnIndex)), ...lowerHelper(body, helper, insnIndex)];
}

function lowerHelper(body: Body, helper: Callee, insnIndex: number): Expr[] {
  if (helper.home === "lowering") {
    switch (helper.name) {
      case "bpf_tail_call":
        return lowerTailCall(body);
      case "bpf_loop":
        return callingBack(body, insnIndex, lowerLoop(body, insnIndex));
      case "bpf_for_each_map_elem":
        return callingBack(body, insnIndex, lowerForEach(body, insnIndex));
      case "bpf_user_ringbuf_drain":
        return callingBack(body, insnIndex, lowerDrain(body, insnIndex));
    }
    throw new BugError(`${helper.name} has no lowering`);
  }
  if (helper.home === "js") {
    // it may run programs
    const returned = body.profile === null ? [] : [body.profile.returned(insnIndex)];
    return [...lowerHostHelper(body, helper), ...returned];
  }
  const name = helper.home === "map" ? mapOperation(body, helper, insnIndex) : libraryName(helper, body.program);
  const call = body.unit.library(name, operands(body, helper, "whole"));
  return [setResult(body, helper.ret, call)];
}

const callingBack = (body: Body, insnIndex: number, code: Expr[]): Expr[] =>
  body.profile === null ? code : body.profile.calling(insnIndex, code);

/** Throws UnsupportedError for what cannot be run; asked for every call before code is made. */
export function requireCallee(program: Program, insn: Insn, insnIndex: number): void {
  if (isKernelCall(insn)) requireLowered(program, insn, insnIndex);
  else supportedHelper(program, insn, insnIndex);
}

/** Of a function that is the kernel's own. */
const isKernelCall = (insn: Insn): boolean => insn.src === PSEUDO_CALL.KFUNC && calleeOf(insn) === undefined;

function supportedHelper(program: Program, insn: Insn, insnIndex: number): Callee {
  const where = { program: program.name, section: program.section, insnIndex };
  const callee = calleeOf(insn);
  if (callee === undefined || callee.home === null) {
    const name = callee?.name ?? `helper #${insn.imm}`;
    throw new UnsupportedError("UNSUPPORTED_HELPER", name, `helper ${name} is not implemented`, { where });
  }
  return callee;
}

/** Whether a call may run code that takes stack of its own, so that CPU.sp must be right. */
export function mayUseStack(insn: Insn): boolean {
  if (insn.src === PSEUDO_CALL.SUBPROG) return true;
  const home = calleeOf(insn)?.home;
  return home === "js" || home === "lowering";
}

function lowerSubprogramCall(body: Body, target: number, insnIndex: number): Expr[] {
  const { frame, guards, program, wasm } = body;
  const call = wasm.m.call(
    subprogramName(program.name, target),
    [1, 2, 3, 4, 5].map((register) => frame.reg(register)),
    wasm.i64,
  );
  const result = frame.setReg(0, call);
  if (body.profile !== null) return body.profile.calling(insnIndex, [result]);
  return guards === null ? [result] : [guards.spend(insnIndex), result];
}

/** Of a function that is the same for every map. */
function libraryName(callee: Callee, { type }: Program): LibraryName {
  if (callee.name === "bpf_perf_reserve") return "perf_reserve";
  if (callee.name === "bpf_redirect" && type === "xdp") return "redirect_xdp";
  return callee.name as LibraryName;
}

function lowerHostHelper(body: Body, helper: Callee): Expr[] {
  const { unit, wasm } = body;
  const { i32, i64 } = wasm.m;
  const values = operands(body, helper, "halves");
  const params: ValueType[] = values.map(() => wasm.i32);
  if (helper.ret !== "u64") {
    const result = helper.ret === "void" ? wasm.none : wasm.i32;
    return [setResult(body, helper.ret, unit.hostCall(IMPORT.helper, helper.name, params, values, result))];
  }
  // No BigInt crosses the border: the 64-bit result is in the worker block.
  const call = unit.hostCall(IMPORT.helper, helper.name, params, values, wasm.none);
  return [call, setResult(body, "u64", i64.load(WORKER.result, 8, i32.add(unit.worker(), i32.const(0))))];
}

/** 64-bit scalars as one i64 ("whole") or as low and high i32 ("halves"); everything else is one i32. */
function operands(body: Body, helper: HelperSpec, scalars: "whole" | "halves"): Expr[] {
  const { frame } = body;
  const { i32, i64 } = body.wasm.m;
  const values: Expr[] = [];
  helper.args.forEach((argument, index) => {
    const register = index + 1;
    if (argument.is === "func") return;
    // Kernel pointers need not lie in the arena: all of their bits count.
    const isScalar = argument.is === "anything" || argument.is === "btfId";
    if (!isScalar) values.push(pointerIn(body, register));
    else if (argument.is === "anything" && argument.bits === 32) values.push(frame.reg32(register));
    else if (scalars === "whole") values.push(frame.reg(register));
    else values.push(frame.reg32(register), i32.wrap(i64.shr_u(frame.reg(register), i64.const(32n))));
  });
  return values;
}

function mapOperation(body: Body, helper: Callee, insnIndex: number): LibraryName {
  const name = helper.name as MapHelperName;
  if (name === "bpf_perf_event_output") return perfOutput(body.program);
  const map = factsAt(body, insnIndex)?.map ?? null;
  const storage = map === null ? null : storageOf(body.program, map);
  const operation = storage === null ? ANY_MAP[name] : MAP_OPERATIONS[storage][name];
  if (operation !== undefined) return operation;
  const what = map === null ? "a map that is not known" : `map ${body.program.maps[map]!.name}`;
  throw new UnsupportedError("UNSUPPORTED_FEATURE", `${name} on ${what}`, `${name} on ${what} is not implemented`, {
    where: { program: body.program.name, insnIndex },
  });
}

/** Where the map is not the same on every path. Rings have only one storage. */
const ANY_MAP: Readonly<Partial<Record<MapHelperName, LibraryName>>> = {
  bpf_map_lookup_elem: "map_lookup",
  bpf_map_update_elem: "map_update",
  bpf_map_delete_elem: "map_delete",
  bpf_ringbuf_output: "ringbuf_output",
  bpf_ringbuf_reserve: "ringbuf_reserve",
  bpf_ringbuf_query: "ringbuf_query",
  bpf_ringbuf_reserve_dynptr: "ringbuf_reserve_dynptr",
};

function perfOutput(program: Program): LibraryName {
  switch (program.type) {
    case "socket_filter":
    case "sched_cls":
      return "perf_event_output_skb";
    case "xdp":
      return "perf_event_output_xdp";
    default:
      return "perf_event_output";
  }
}
