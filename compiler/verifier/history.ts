/**
 * The instructions that a state came through since its checkpoint, as far as backtracking needs them: arrivals by jumps,
 * stack accesses, linked registers. Kernel: push_jmp_history().
 */
import type { Env } from "./env.ts";
import type { Place } from "./state.ts";

interface HistoryChange {
  readonly flags?: number;
  readonly slot?: number;
  readonly frame?: number;
  readonly linked?: readonly Place[];
}

/** Adds to the entry of the current instruction, or makes one. */
export function pushHistory(env: Env, change: HistoryChange = {}): void {
  const entry = env.historyEntry;
  if (entry === null) {
    env.historyEntry = {
      insnIndex: env.insnIndex,
      previousIndex: env.previousIndex,
      flags: change.flags ?? 0,
      slot: change.slot ?? 0,
      frame: change.frame ?? 0,
      linked: change.linked ?? null,
    };
    env.state.history.push(env.historyEntry);
    return;
  }
  entry.flags |= change.flags ?? 0;
  if (change.slot !== undefined) entry.slot = change.slot;
  if (change.frame !== undefined) entry.frame = change.frame;
  if (change.linked) entry.linked = change.linked;
}
