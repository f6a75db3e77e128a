/** Whether an access through a stack pointer stays inside the frame. Kernel: check_stack_access_within_bounds(). */
import { LIMITS } from "../../spec/limits.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { RegState } from "./register.ts";
import { isConstant } from "./scalar.ts";
import { maskText } from "./scalar-text.ts";
import { EMPTY_SLOT, type Frame, slotIndexOf } from "./state.ts";

const VARIABLE_LIMIT = BigInt(LIMITS.variableOffset);
const KIND_TEXT = { read: " read from", write: " write to" } as const;

/** First and last offset (inclusive), from the frame pointer, that the first byte of the access can have. */
export interface StackRange {
  readonly min: number;
  readonly max: number;
}

export const frameOf = (env: Env, reg: RegState): Frame => env.state.frames[reg.frame]!;

/** `off` includes the fixed part of the register's offset. */
export function stackRange(reg: RegState, off: number): StackRange {
  return { min: Number(reg.value.smin) + off, max: Number(reg.value.smax) + off };
}

export function checkStackBounds(
  env: Env,
  number: number,
  reg: RegState,
  off: number,
  size: number,
  kind: keyof typeof KIND_TEXT,
): void {
  const text = KIND_TEXT[kind];
  const fixed = isConstant(reg.value);
  if (!fixed && (reg.value.smax >= VARIABLE_LIMIT || reg.value.smin <= -VARIABLE_LIMIT)) {
    reject(env, "EACCES", `invalid unbounded variable-offset${text} stack R${number}`);
  }
  const { min, max } = stackRange(reg, off);
  const inside = min >= -LIMITS.stackBytes && min <= -1;
  if (!inside || max + size > 0) {
    reject(
      env,
      inside ? "EINVAL" : "EACCES",
      fixed
        ? `invalid${text} stack R${number} off=${min} size=${size}`
        : `invalid variable-offset${text} stack R${number} var_off=${maskText(reg.value)} off=${off} size=${size}`,
    );
  }
  growStack(env, frameOf(env, reg), min);
}

/** Takes the slots down to `offset` into use. Kernel: grow_stack_state(). */
function growStack(env: Env, frame: Frame, offset: number): void {
  const slots = slotIndexOf(offset) + 1;
  while (frame.stack.length < slots) frame.stack.push(EMPTY_SLOT);
  const subprogram = env.subprograms[frame.subprogram]!;
  if (subprogram.stackBytes < frame.stackBytes) subprogram.stackBytes = frame.stackBytes;
}
