/** Paths that are put off, and going on with them. Kernel: push_stack(), pop_stack(), update_branch_counts(). */
import type { ErrnoName } from "../../spec/errno.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { State } from "./state.ts";

/**
 * Puts off a copy of the current state that goes on at `insnIndex`; the caller may change it. `tooMany`: what the kernel
 * returns where too many are put off.
 */
export function pushPath(env: Env, insnIndex: number, previousIndex: number, tooMany: ErrnoName = "ENOMEM"): State {
  const state = env.state.copy();
  env.pending.push({ state, insnIndex, previousIndex, logPosition: env.log.position });
  env.recorder?.parted(state);
  if (env.pending.length > LIMITS.pendingJumps) {
    reject(env, tooMany, `The sequence of ${env.pending.length} jumps is too complex.`);
  }
  if (state.parent) state.parent.branches++;
  return state;
}

/** Takes up the path put off last; false where none is left. */
export function popPath(env: Env): boolean {
  const path = env.pending.pop();
  if (!path) return false;
  if (!env.log.tracesAll) env.log.truncate(path.logPosition);
  env.state = path.state;
  env.insnIndex = path.insnIndex;
  env.previousIndex = path.previousIndex;
  env.recorder?.resumed(path.state);
  return true;
}

/** The current path has ended: checkpoints without open paths are complete. */
export function endPath(env: Env): void {
  for (let state: State | null = env.state; state !== null; state = state.parent) {
    state.branches--;
    if (state.branches > 0) return;
    env.scc.exit(state);
    if (state.evicted) env.evictedStates--;
  }
}
