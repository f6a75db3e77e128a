/** Who is told of every step of the exploration: what explanations are made from (explain/). Absent in a first run. */
import type { Env } from "./env.ts";
import type { State } from "./state.ts";

export interface Recorder {
  /** The instruction at env.insnIndex is about to be processed in env.state; env.previousIndex -1: a function begins. */
  visit(env: Env): void;
  /** `state` was put off at the instruction under way; it is not changed for its own way yet. */
  parted(state: State): void;
  /** The path that was put off as `state` goes on. */
  resumed(state: State): void;
}
