/** What a call does to the registers of its caller. Kernel: clear_caller_saved_regs(). */
import type { Env } from "./env.ts";
import { CALLER_SAVED } from "./operands.ts";
import { NOT_INIT } from "./register.ts";
import type { Frame } from "./state.ts";

/** r0 … r5 of the current frame, or of `frame`, hold nothing any more. */
export function clearCallerSaved(env: Env, frame: Frame = env.state.frame): void {
  for (let r = 0; r < CALLER_SAVED; r++) frame.registers[r] = NOT_INIT;
  if (frame === env.state.frame) env.scratchedRegisters |= (1 << CALLER_SAVED) - 1;
}
