/**
 * Loops that end by themselves (callbacks, may_goto): a state inside one may be pruned against another that is not
 * explored to its end yet. What that other one turns out to need precisely is carried over when all paths of the visit
 * to the loop are explored. Kernel: struct bpf_scc_visit, propagate_backedges().
 */
import { BugError } from "../../base/errors.ts";
import type { Env } from "./env.ts";
import { kernelBug } from "./failure.ts";
import { forceAllPrecise, propagatePrecision } from "./precision.ts";
import { frameInsnIndex, type State } from "./state.ts";

/** Rounds of propagation before everything counts as precise. Kernel: MAX_BACKEDGE_ITERS */
const MOST_ROUNDS = 64;

interface Backedge {
  /** the pruned state */
  readonly state: State;
  /** the state that it was found equal to */
  readonly equal: State;
}

interface Visit {
  entry: State | null;
  backedges: Backedge[];
}

/** One visit to a loop for each chain of calls that leads to it. */
export class SccVisits {
  readonly #env: Env;
  readonly #visits = new Map<string, Visit>();

  constructor(env: Env) {
    this.#env = env;
  }

  /** A new checkpoint: it may be the first one inside its loop. */
  enter(state: State): void {
    const key = this.#key(state);
    if (key === null) return;
    const visit = this.#visits.get(key);
    if (visit?.entry) return;
    if (visit) visit.entry = state;
    else this.#visits.set(key, { entry: state, backedges: [] });
    this.#note("enter", key);
  }

  /** All paths from `state` are explored; if it entered a loop, that visit is over. */
  exit(state: State): void {
    const key = this.#key(state);
    const visit = key === null ? undefined : this.#visits.get(key);
    if (!visit || visit.entry !== state) return;
    this.#note("exit", key!);
    visit.entry = null;
    this.#propagate(visit);
    visit.backedges = [];
  }

  addBackedge(state: State, equal: State): void {
    const key = this.#key(equal);
    const visit = key === null ? undefined : this.#visits.get(key);
    // A callback's next round meets a step of an iterator that has no loop, say: the kernel gives up, and so do we.
    if (key === null)
      kernelBug(this.#env, `add backedge: no SCC in verification path, insn_idx ${this.#env.insnIndex}`);
    if (!visit) throw new BugError("a state was pruned in a loop that was never entered");
    this.#note("backedge", key);
    visit.backedges.unshift({ state, equal });
  }

  /** What `state` needs precisely is not known to the end yet. Kernel: incomplete_read_marks(). */
  isIncomplete(state: State): boolean {
    const key = this.#key(state);
    return key !== null && (this.#visits.get(key)?.backedges.length ?? 0) > 0;
  }

  #note(event: string, key: string): void {
    if (this.#env.log.tracesAll) this.#env.log.line(`SCC ${event} (${key})`);
  }

  #propagate(visit: Visit): void {
    for (let round = 0; visit.backedges.length > 0; round++) {
      if (round > MOST_ROUNDS) {
        for (const backedge of visit.backedges) forceAllPrecise(this.#env, backedge.state);
        return;
      }
      let changed = false;
      for (const { state, equal } of visit.backedges) if (propagatePrecision(this.#env, equal, state)) changed = true;
      if (!changed) return;
    }
  }

  /** The call sites above the outermost frame that is in a loop, and that loop; null outside loops. */
  #key(state: State): string | null {
    let key = "";
    for (let f = 0; f < state.frames.length; f++) {
      const slot = frameInsnIndex(state, f);
      const component = this.#env.notes.component[slot]!;
      if (component !== 0) return `${key}${component}`;
      key += `${slot},`;
    }
    return null;
  }
}
