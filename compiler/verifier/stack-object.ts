/**
 * Objects that live in whole slots of the stack and that only functions look into: where one may lie.
 * Kernel: stack_slot_obj_get_spi(), is_spi_bounds_valid().
 */
import { POINTER } from "../program.ts";
import type { Env } from "./env.ts";
import type { RegState } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { frameOf } from "./stack-bounds.ts";
import { type Frame, SLOT_BYTES, slotIndexOf } from "./state.ts";

/** As the kernel's messages name them. */
export type StackObject = "dynptr" | "iter" | "irq_flag";

/** The object's first slot: the one at its lowest address. It reaches down to slot `slot - slots + 1`. */
export interface ObjectPlace {
  readonly frame: Frame;
  readonly slot: number;
}

/** "misplaced": nowhere that such an object could be, and the log says so; "unused": in stack that nothing has touched. */
export function objectPlace(
  env: Env,
  reg: RegState,
  kind: StackObject,
  slots: number,
): ObjectPlace | "misplaced" | "unused" {
  const variable = constantOf(reg.value);
  if (variable === null) {
    env.log.line(`${kind} has to be at a constant offset`);
    return "misplaced";
  }
  const off = reg.off + Number(BigInt.asIntN(64, variable));
  const slot = objectSlot(off);
  if (off % SLOT_BYTES !== 0 || slot + 1 < slots) {
    env.log.line(`cannot pass in ${kind} at an offset=${off}`);
    return "misplaced";
  }
  // What runs programs refuses this one: the function would work on memory that is not the frame's.
  if (off === 0) env.facts.access(env.insnIndex, POINTER.aboveFrame, SLOT_BYTES);
  const frame = frameOf(env, reg);
  return slot < frame.stack.length ? { frame, slot } : "unused";
}

/** The kernel divides towards zero: right above the frame counts as its first slot. */
export const objectSlot = (off: number): number => (off === 0 ? 0 : slotIndexOf(off));
