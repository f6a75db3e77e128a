/**
 * Timers in map values, and what runs later than the call that asked for it: callbacks that are explored on their own, with
 * a stack of their own. Kernel: check_map_field_pointer(), push_async_cb(), set_timer_callback_state().
 */

import { LIMITS } from "../../spec/limits.ts";
import type { MapSpec } from "../../spec/map-types.ts";
import { type SpecialFieldKind, specialField } from "../../spec/special-fields.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { pointerReg, REG, type RegState } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { type Frame, type ReturnRange, State } from "./state.ts";
import { newFrame } from "./subprogram-call.ts";
import { findField } from "./value-fields.ts";

/** `register` points to the timer (or work) of a map's value. Gives the map and the id of the inner one. */
export function requireFieldOfMap(env: Env, register: number, reg: RegState, kind: SpecialFieldKind): MapSpec {
  const { shown } = specialField(kind);
  const map = reg.map!;
  const variable = constantOf(reg.value);
  if (variable === null) {
    reject(env, "EINVAL", `R${register} doesn't have constant offset. ${shown} has to be at the constant offset`);
  }
  if (!map.btf) reject(env, "EINVAL", `map '${map.name}' has to have BTF in order to use ${shown}`);
  const field = findField(map.fields ?? [], kind);
  if (field === undefined) reject(env, "EINVAL", `map '${map.name}' has no valid ${shown}`);
  const at = BigInt.asIntN(64, variable) + BigInt(reg.off);
  if (at !== BigInt(field.offsetBytes)) {
    reject(env, "EINVAL", `off ${at} doesn't point to 'struct ${shown}' that is at ${field.offsetBytes}`);
  }
  return map;
}

/** What the callback of a timer, or of a work queue, returns. */
export const NOTHING: ReturnRange = { min: 0, max: 0 };

interface Deferral {
  /** whatever the program may */
  readonly sleepable: boolean;
  readonly returns: ReturnRange;
}

/** A path that begins in the callback, in a state that owes nothing to the caller's. */
function pushDeferred(env: Env, index: number, { sleepable, returns }: Deferral): Frame {
  const subprogram = env.subprograms[index]!;
  subprogram.isCallback = true;
  subprogram.isDeferred = true;
  env.facts.callback(env.insnIndex, subprogram.start);
  const frame = newFrame(-1, 0, index);
  const state = new State([frame]);
  state.sleepable = sleepable;
  // What the callback's arguments are is looked for beyond its beginning, in the call that sets it: firstIndex stays 0.
  state.insnIndex = subprogram.start;
  env.pending.push({ state, insnIndex: subprogram.start, previousIndex: env.insnIndex, logPosition: env.log.position });
  env.recorder?.parted(state);
  if (env.pending.length > LIMITS.pendingJumps) {
    reject(env, "E2BIG", `The sequence of ${env.pending.length} jumps is too complex for async cb.`);
  }
  frame.isDeferred = true;
  frame.callbackReturns = returns;
  frame.deferredDepth = env.state.frame.deferredDepth + 1;
  return frame;
}

/** callback(map, key, value) of what lies in the value that `reg` points into. */
export function pushMapCallback(env: Env, index: number, { map, mapUid }: RegState, deferral: Deferral): void {
  const frame = pushDeferred(env, index, deferral);
  for (const [i, type] of [REG.MAP_PTR, REG.MAP_KEY, REG.MAP_VALUE].entries()) {
    const argument = pointerReg(type);
    argument.map = map;
    argument.mapUid = mapUid;
    frame.registers[i + 1] = argument;
  }
}
