/**
 * Where states are compared: a state that an explored one covers is not followed; others become checkpoints now and
 * then, by the kernel's heuristics. Kernel: is_state_visited().
 */
import type { Env } from "./env.ts";
import { covers, isIdentical, type Strictness } from "./equivalence.ts";
import { Rejection } from "./failure.ts";
import { pushHistory } from "./history.ts";
import { isActiveIterator, iteratorsStepped } from "./iterator-state.ts";
import { propagatePrecision } from "./precision.ts";
import { stateText } from "./print.ts";
import { edit, NOT_INIT, REG } from "./register.ts";
import { EMPTY_SLOT, frameInsnIndex, mapRegisters, type State } from "./state.ts";

/** A state kept for comparison. Kernel: struct bpf_verifier_state_list */
export interface Checkpoint {
  readonly state: State;
  hits: number;
  misses: number;
  cleaned: boolean;
}

const MOST_HISTORY = 40;

/** True: the current state is covered by an explored one, its path ends here. */
export function isCovered(env: Env): boolean {
  const slot = env.insnIndex;
  const { state } = env;
  const forced = env.notes.forceCheckpoint[slot] === 1 || state.history.length > MOST_HISTORY;
  let adds =
    forced || (env.processedJumps - env.jumpsAtCheckpoint >= 2 && env.processedInsns - env.insnsAtCheckpoint >= 8);

  const known = checkpointsAt(env, state);
  for (const checkpoint of known) forgetDead(env, checkpoint, state);
  let kept = 0;
  let count = 0;
  for (let i = 0; i < known.length; i++) {
    const checkpoint = known[i]!;
    count++;
    if (checkpoint.state.insnIndex !== slot) {
      known[kept++] = checkpoint;
      continue;
    }
    const found = compare(env, checkpoint.state, state);
    if (found === "covered" || found === "covered in loop") {
      checkpoint.hits++;
      known.splice(kept, i - kept);
      prune(env, checkpoint.state, state, found === "covered in loop");
      return true;
    }
    if (checkpoint.state.branches > 0 && found === "loop of other states") adds = adds && !tooSoonInLoop(env, forced);
    if (adds) checkpoint.misses++;
    if (isWorthKeeping(env, slot, checkpoint)) known[kept++] = checkpoint;
    else evict(env, checkpoint.state);
  }
  known.length = kept;
  env.mostStatesPerInsn = Math.max(env.mostStatesPerInsn, count);
  if (adds) addCheckpoint(env, known);
  return false;
}

/** Kernel: explored_state(): its hash table, whose buckets are counted and may hold other instructions. */
const bucketOf = (env: Env, state: State, slot: number): number =>
  ((slot ^ state.frame.callSite) >>> 0) % env.insns.length;

/** Checkpoints of the current instruction's bucket, newest first. */
function checkpointsAt(env: Env, state: State): Checkpoint[] {
  const key = bucketOf(env, state, env.insnIndex);
  const known = env.explored.get(key);
  if (known) return known;
  const fresh: Checkpoint[] = [];
  env.explored.set(key, fresh);
  return fresh;
}

/** Kernel: find_prev_entry(): the newest checkpoint here that the path went through. */
export function previousEntry(env: Env, state: State, slot: number): State | null {
  for (const { state: old } of env.explored.get(bucketOf(env, state, slot)) ?? []) {
    if (old.insnIndex === slot && old.branches > 0 && old.depth < state.depth && sameCallSites(old, state)) return old;
  }
  return null;
}
const sameCallSites = (a: State, b: State): boolean =>
  a.frames.length === b.frames.length && a.frames.every((frame, i) => frame.callSite === b.frames[i]!.callSite);

type Comparison = "covered" | "covered in loop" | "different" | "loop of other states";

function compare(env: Env, old: State, state: State): Comparison {
  if (old.branches === 0) {
    const incomplete = env.scc.isIncomplete(old);
    const strictness: Strictness = incomplete ? "range" : "covered";
    if (!covers(env, old, state, strictness)) return "different";
    return incomplete ? "covered in loop" : "covered";
  }
  // The old state is one that this path came through, or that a path put off did: a loop may be under way.
  const slot = env.insnIndex;
  if (env.notes.callsCallback[slot]) {
    return covers(env, old, state, "range") ? "covered" : "loop of other states";
  }
  if (env.notes.stepsIterator[slot]) {
    const isAnotherRound = covers(env, old, state, "range") && isActiveIterator(state);
    return isAnotherRound ? "covered in loop" : "loop of other states";
  }
  const isMayGoto = env.notes.forceCheckpoint[slot] === 1;
  if (isMayGoto && old.mayGotoDepth !== state.mayGotoDepth && covers(env, old, state, "range"))
    return "covered in loop";
  if (
    old.mayGotoDepth === state.mayGotoDepth &&
    old.callbackUnrollDepth === state.callbackUnrollDepth &&
    !(old.frame.isDeferred && old.frame.deferredDepth !== state.frame.deferredDepth) &&
    maybeLooping(old, state) &&
    covers(env, old, state, "exact") &&
    !iteratorsStepped(old, state)
  ) {
    refuseInfiniteLoop(env, old, state);
  }
  return "loop of other states";
}

/** Cheap test before the exact one: the registers of the current frame are the very same. Kernel: states_maybe_looping(). */
function maybeLooping(old: State, state: State): boolean {
  if (old.frames.length !== state.frames.length) return false;
  const now = state.registers;
  return old.registers.every((reg, r) => isIdentical(reg, now[r]!));
}

function refuseInfiniteLoop(env: Env, old: State, state: State): never {
  const message = `infinite loop detected at insn ${env.insnIndex}`;
  env.log.line(message);
  env.log.line(`cur state:${stateText(state, state.frame)}`);
  env.log.line(`old state:${stateText(old, old.frame)}`);
  throw new Rejection("EINVAL", message);
}

/** Iterations of one loop differ; checkpoints of each would help nobody. */
const tooSoonInLoop = (env: Env, forced: boolean): boolean =>
  !forced && env.processedJumps - env.jumpsAtCheckpoint < 20 && env.processedInsns - env.insnsAtCheckpoint < 100;

function isWorthKeeping(env: Env, slot: number, checkpoint: Checkpoint): boolean {
  const patience = env.notes.forceCheckpoint[slot] && checkpoint.state.branches > 0 ? 64 : 3;
  return checkpoint.misses <= checkpoint.hits * patience + patience;
}

/** Not compared with any more; it is kept in mind as long as paths lead on from it. */
function evict(env: Env, state: State): void {
  env.exploredStates--;
  if (state.branches === 0) return;
  state.evicted = true;
  env.evictedStates++;
}

function prune(env: Env, old: State, state: State, inLoop: boolean): void {
  if (env.notes.jumpPoint[env.insnIndex]) pushHistory(env);
  propagatePrecision(env, old, state);
  if (inLoop) env.scc.addBackedge(state.copy(), old);
}

function addCheckpoint(env: Env, known: Checkpoint[]): void {
  env.totalStates++;
  env.exploredStates++;
  env.peakStates = Math.max(env.peakStates, env.exploredStates + env.evictedStates);
  env.jumpsAtCheckpoint = env.processedJumps;
  env.insnsAtCheckpoint = env.processedInsns;
  const { state } = env;
  // Precision is a matter of what follows: later instructions mark the checkpoint anew.
  mapRegisters(state, (reg) => {
    if (reg.type !== REG.SCALAR || !reg.precise) return reg;
    const imprecise = edit(reg);
    imprecise.precise = false;
    return imprecise;
  });
  const kept = state.copy();
  env.scc.enter(kept);
  state.parent = kept;
  state.firstIndex = env.insnIndex;
  state.depth = kept.depth + 1;
  state.history = [];
  known.unshift({ state: kept, hits: 0, misses: 0, cleaned: false });
}

/**
 * Forgets what nothing reads any more, once all paths from the state are explored and some path comes by. When that is counts:
 * a loop may be under way the next time. Kernel: clean_live_states().
 */
function forgetDead(env: Env, checkpoint: Checkpoint, present: State): void {
  const { state } = checkpoint;
  if (checkpoint.cleaned || state.branches > 0 || state.insnIndex !== env.insnIndex) return;
  if (!sameCallSites(state, present) || env.scc.isIncomplete(state)) return;
  checkpoint.cleaned = true;
  for (let f = 0; f < state.frames.length; f++) {
    const frame = state.frames[f]!;
    const live = env.notes.liveRegisters[frameInsnIndex(state, f)]!;
    for (let r = 0; r < 10; r++) if (!(live & (1 << r))) frame.registers[r] = NOT_INIT;
    for (let s = 0; s < frame.stack.length; s++) {
      if (!env.stackLiveness.isLive(state, f, s)) frame.stack[s] = EMPTY_SLOT;
    }
  }
}
