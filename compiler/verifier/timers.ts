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
import { type Frame, State } from "./state.ts";
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

/** A path that begins in the callback, in a state that owes nothing to the caller's. */
export function pushDeferred(env: Env, index: number, sleepable: boolean, setArguments: (frame: Frame) => void): void {
  const subprogram = env.subprograms[index]!;
  subprogram.isCallback = true;
  subprogram.isDeferred = true;
  env.facts.callback(env.insnIndex, subprogram.start);
  const frame = newFrame(-1, 0, index);
  const state = new State([frame]);
  state.sleepable = sleepable;
  state.insnIndex = state.firstIndex = subprogram.start;
  env.pending.push({ state, insnIndex: subprogram.start, previousIndex: env.insnIndex, logPosition: env.log.position });
  env.recorder?.parted(state);
  if (env.pending.length > LIMITS.pendingJumps) {
    reject(env, "E2BIG", `The sequence of ${env.pending.length} jumps is too complex for async cb.`);
  }
  setArguments(frame);
  frame.isDeferred = true;
  frame.deferredDepth = env.state.frame.deferredDepth + 1;
}

/** callback(map, key, value) of a timer that lies in a value of `map`. */
export function pushTimerCallback(env: Env, index: number, { map, mapUid }: RegState): void {
  pushDeferred(env, index, false, (frame) => {
    for (const [i, type] of [REG.MAP_PTR, REG.MAP_KEY, REG.MAP_VALUE].entries()) {
      const argument = pointerReg(type);
      argument.map = map;
      argument.mapUid = mapUid;
      frame.registers[i + 1] = argument;
    }
  });
}
