/**
 * Callbacks of helpers. The body is explored as often as it takes to converge: each return comes back to the call, which
 * sends a path into the callback again and another one on behind the loop. Kernel: push_callback_call().
 */
import type { MapTypeName } from "../../spec/map-types.ts";
import { kernelStruct } from "./btf-match.ts";
import { btfPointer } from "./btf-pointer.ts";
import { dynptrReg } from "./dynptr-slots.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";
import type { CallArguments } from "./helper-arguments.ts";
import { pushPath } from "./paths.ts";
import { requestPrecision } from "./precision.ts";
import { pointerReg, REG, UNKNOWN } from "./register.ts";
import { isZero } from "./scalar.ts";
import type { Frame } from "./state.ts";
import { enterFrame } from "./subprogram-call.ts";

/** Maps whose elements can be walked. */
const WALKABLE: ReadonlySet<MapTypeName> = new Set([
  "hash",
  "percpu_hash",
  "lru_hash",
  "lru_percpu_hash",
  "array",
  "percpu_array",
]);

/** callback(map, key, value, ctx) */
export function checkForEach(env: Env, call: CallArguments): void {
  const map = call.map!;
  if (!WALKABLE.has(map.type)) reject(env, "ENOTSUPP", "callback function not allowed for map");
  const [, mapPointer, , context] = env.registers;
  pushCallback(env, call.subprogram, (callee) => {
    callee.registers[1] = mapPointer!;
    const key = pointerReg(REG.MAP_KEY);
    const value = pointerReg(REG.MAP_VALUE);
    key.map = value.map = map;
    key.mapUid = value.mapUid = call.mapUid;
    callee.registers[2] = key;
    callee.registers[3] = value;
    callee.registers[4] = context!;
  });
}

/** callback(index, ctx); no more rounds are simulated than the loop can make. */
export function checkLoop(env: Env, call: CallArguments): void {
  noteInlining(env, call);
  requestPrecision(env, 1);
  const rounds = env.register(1).value.umax;
  const { frame } = env.state;
  if (BigInt(frame.callbackDepth) >= rounds) {
    frame.callbackDepth = 0;
    if (env.log.tracesAll) env.log.line(`frame${frame.index} bpf_loop iteration limit reached`);
    return;
  }
  const context = env.register(3);
  pushCallback(env, call.subprogram, (callee) => {
    callee.registers[1] = UNKNOWN;
    callee.registers[2] = context;
  });
}

/** callback(task, vma, ctx); the area is there as long as the callback runs. */
export function checkFindVma(env: Env, call: CallArguments): void {
  const [, task, , , context] = env.registers;
  const area = kernelStruct(env, "vm_area_struct") ?? unsupported("a kernel without struct vm_area_struct");
  pushCallback(env, call.subprogram, (callee) => {
    callee.registers[1] = task!;
    callee.registers[2] = btfPointer(env, area.btf, area.type, 0);
    callee.registers[3] = context!;
  });
}

/** callback(dynptr, ctx): the dynptr cannot be changed. */
export function checkDrain(env: Env, call: CallArguments): void {
  const context = env.register(3);
  pushCallback(env, call.subprogram, (callee) => {
    callee.registers[1] = dynptrReg("local", env.newId());
    callee.registers[2] = context;
  });
}

/**
 * The kernel writes a loop into the program where flags are 0 and the callback the same on every path, for which the
 * flags must be precise. We prune alike, and the lowering gives what that loop gives. Kernel: update_loop_inline_state().
 */
function noteInlining(env: Env, call: CallArguments): void {
  const known = env.inlinedLoops.get(env.insnIndex);
  if (known === null) return;
  const flags = env.register(4);
  const hasNoFlags = flags.type === REG.SCALAR && isZero(flags.value);
  if (hasNoFlags) requestPrecision(env, 4);
  const isSame = known === undefined || known === call.subprogram;
  env.inlinedLoops.set(env.insnIndex, hasNoFlags && isSame ? call.subprogram : null);
}

/** The path into the callback is put off; the current one goes on as if the loop were over. */
export function pushCallback(env: Env, index: number, setArguments: (callee: Frame) => void): void {
  const subprogram = env.subprograms[index]!;
  const caller = env.state.frame;
  subprogram.isCallback = true;
  env.facts.callback(env.insnIndex, subprogram.start);
  const state = pushPath(env, subprogram.start, env.insnIndex);
  const callee = enterFrame(env, state, env.insnIndex, index);
  setArguments(callee);
  callee.inCallback = true;
  callee.callbackReturns = { min: 0, max: 1 };
  state.callbackUnrollDepth++;
  state.frames[state.frames.length - 2]!.callbackDepth++;
  caller.callbackDepth = 0;
}
