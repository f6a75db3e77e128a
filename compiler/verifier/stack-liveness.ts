/**
 * Which stack slots may still be read. Everything counts as live: checkpoints keep their whole stack, which is safe and
 * prunes less than it could.
 */
import type { Env } from "./env.ts";
import type { Frame, State } from "./state.ts";

export class StackLiveness {
  readRange(_env: Env, _frame: Frame, _from: number, _end: number): void {}
  written(_env: Env, _frame: Frame, _slot: number): void {}
  isLive(_state: State, _frame: number, _slot: number): boolean {
    return true;
  }
}
