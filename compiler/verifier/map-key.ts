/** Keys that are constants: a lookup in an array within its bounds finds something. Kernel: get_constant_map_key(). */
import { MAP_FLAG, type MapSpec } from "../../spec/map-types.ts";
import type { Env } from "./env.ts";
import { requestSlotPrecision } from "./precision.ts";
import { REG, type RegState } from "./register.ts";
import { constantOf, isConstant } from "./scalar.ts";
import { frameOf, stackRange } from "./stack-bounds.ts";
import { BYTE, byteKind, isSpilledScalar, SLOT_BYTES, slotIndexOf } from "./state.ts";

/** Lookups with a key below max_entries never fail. Kernel: can_elide_value_nullness(). */
const isAlwaysFilled = (map: MapSpec): boolean =>
  (map.type === "array" || map.type === "percpu_array") && (map.flags & MAP_FLAG.INNER_MAP) === 0;

/** The key in stack memory, where it is a constant; asking makes its value matter. */
export function constantMapKey(env: Env, map: MapSpec, key: RegState): bigint | null {
  if (!isAlwaysFilled(map) || key.type !== REG.STACK || !isConstant(key.value)) return null;
  const off = stackRange(key, key.off).min;
  const index = slotIndexOf(off);
  const slot = frameOf(env, key).slot(index);
  const first = (-off - 1) % SLOT_BYTES;
  if (countDown(slot.kinds, first, BYTE.ZERO) >= map.keySize) return 0n;
  if (!isSpilledScalar(slot) || countDown(slot.kinds, first, BYTE.SPILL) !== map.keySize) return null;
  const constant = constantOf(slot.reg.value);
  if (constant !== null) requestSlotPrecision(env, key.frame, index);
  return constant;
}

/** How many bytes from `byte` downwards, that is up in memory, are of this kind. */
function countDown(kinds: number, byte: number, kind: number): number {
  let count = 0;
  while (byte - count >= 0 && byteKind(kinds, byte - count) === kind) count++;
  return count;
}
