/**
 * Dynptrs as arguments: of helpers, kernel functions and global functions. A pointer to one is a pointer to the stack or,
 * in a callback and in a global function, a register of its own type, through which it cannot be changed.
 * Kernel: process_dynptr_func().
 */
import { DYNPTR_BYTES, DYNPTR_SLOTS, placeDynptr, releaseSlots } from "./dynptr-slots.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { type DynptrKind, NOT_INIT, REG, type RegState } from "./register.ts";
import { checkStackBounds } from "./stack-bounds.ts";
import { type ObjectPlace, objectPlace } from "./stack-object.ts";
import { writeStack } from "./stack-write.ts";
import { SLOT_BYTES, type StackSlot } from "./state.ts";

/** What a callee does with the dynptr: makes it, only looks through it, or changes the dynptr itself. */
export type DynptrUse = "construct" | "read" | "change";

/** A dynptr that exists. */
export interface KnownDynptr {
  readonly kind: DynptrKind;
  readonly id: number;
  /** of what it is over, 0: nothing must be given back */
  readonly refId: number;
}

/**
 * The dynptr in `register`, of the kind asked for, if one is. One that is to be constructed is made, with the reference of
 * what it is a copy of, and gives null.
 */
export function checkDynptr(
  env: Env,
  register: number,
  kind: DynptrKind | "any",
  use: DynptrUse,
  cloneOf = 0,
): KnownDynptr | null {
  const reg = env.register(register);
  if (reg.type !== REG.STACK && reg.type !== REG.DYNPTR) {
    reject(env, "EINVAL", `arg#${register - 1} expected pointer to stack or const struct bpf_dynptr`);
  }
  if (use === "construct") {
    construct(env, register, reg, kind as DynptrKind, cloneOf);
    return null;
  }
  if (reg.type === REG.DYNPTR && use === "change") {
    reject(env, "EINVAL", "cannot pass pointer to const bpf_dynptr, the helper mutates it");
  }
  const known = dynptrOf(env, reg);
  if (known === null) reject(env, "EINVAL", `Expected an initialized dynptr as arg #${register - 1}`);
  if (kind !== "any" && known.kind !== kind) {
    reject(env, "EINVAL", `Expected a dynptr of type ${kind} as arg #${register - 1}`);
  }
  markRead(env, reg);
  return known;
}

function construct(env: Env, register: number, reg: RegState, kind: DynptrKind, cloneOf: number): void {
  if (reg.type === REG.DYNPTR || placeOf(env, reg) === "misplaced") {
    reject(env, "EINVAL", "Dynptr has to be an uninitialized dynptr");
  }
  for (let byte = 0; byte < DYNPTR_BYTES; byte += SLOT_BYTES) {
    checkStackBounds(env, register, reg, reg.off + byte, SLOT_BYTES, "write");
    writeStack(env, reg, reg.off + byte, SLOT_BYTES, -1);
  }
  const { frame, slot } = placeOf(env, reg) as ObjectPlace;
  placeDynptr(env, frame, slot, kind, cloneOf);
}

/** The initialised dynptr that `reg` points to; null, the log saying why in some cases, where it points to none. */
function dynptrOf(env: Env, reg: RegState): KnownDynptr | null {
  const { dynptr, id, refId } = reg.type === REG.DYNPTR ? reg : (dynptrSlot(env, reg)?.reg ?? NOT_INIT);
  return dynptr?.first && isHeld(env, refId) ? { kind: dynptr.kind, id, refId } : null;
}

/** The kernel forgets copies in other frames when it releases a dynptr, and lets them be used. */
const isHeld = (env: Env, refId: number): boolean =>
  refId === 0 || env.state.references.some((reference) => reference.id === refId);

const placeOf = (env: Env, reg: RegState): ReturnType<typeof objectPlace> =>
  objectPlace(env, reg, "dynptr", DYNPTR_SLOTS);

/** The slot that `reg` points to, whatever it holds. */
export function dynptrSlot(env: Env, reg: RegState): StackSlot | null {
  const place = placeOf(env, reg);
  return typeof place === "object" ? place.frame.slot(place.slot) : null;
}

/** Kernel: mark_dynptr_read(). */
function markRead(env: Env, reg: RegState): void {
  if (reg.type === REG.DYNPTR) return;
  const { frame, slot } = placeOf(env, reg) as ObjectPlace;
  const start = -(slot + 1) * SLOT_BYTES;
  env.stackLiveness.readRange(frame, start, start + DYNPTR_BYTES);
  for (let half = 0; half < DYNPTR_SLOTS; half++) env.scratchSlot(frame, slot - half);
}

/** What the dynptr at `reg` is over is given back. */
export function releaseDynptr(env: Env, reg: RegState): void {
  const { frame, slot } = placeOf(env, reg) as ObjectPlace;
  releaseSlots(env, frame, slot);
}
