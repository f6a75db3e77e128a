/**
 * The path that failed, as a second run of the verification records it: what was known before each instruction. Paths that
 * were put off share their beginning; those that ended are let go.
 */
import type { Env } from "../env.ts";
import type { Recorder } from "../recorder.ts";
import type { RegState } from "../register.ts";
import type { Frame, Reference, StackSlot, State } from "../state.ts";

/** What a frame held. */
export interface FrameView {
  readonly registers: readonly RegState[];
  readonly stack: readonly StackSlot[];
  readonly callSite: number;
  readonly subprogram: number;
  readonly inCallback: boolean;
}

/** One instruction of a path, and what was known before it. */
export interface Visit {
  readonly insnIndex: number;
  /** the main function's frame first; never empty */
  readonly frames: readonly FrameView[];
  readonly references: readonly Reference[];
}

interface Link extends Visit {
  parent: Link | null;
  readonly depth: number;
}

/** Longer paths lose their beginning, so that the record of a long loop does not fill the memory. */
const MOST_VISITS = 1 << 16;

export class PathRecorder implements Recorder {
  #last: Link | null = null;
  readonly #putOff = new WeakMap<State, Link>();

  visit(env: Env): void {
    const parent = env.previousIndex < 0 ? null : this.#last;
    const frames = viewFrames(env.state.frames, parent?.frames ?? []);
    const depth = parent === null ? 0 : parent.depth + 1;
    this.#last = { insnIndex: env.insnIndex, frames, references: env.state.references, parent, depth };
    if (depth > 0 && depth % MOST_VISITS === 0) forgetBefore(this.#last, depth - MOST_VISITS);
  }

  parted(state: State): void {
    if (this.#last !== null) this.#putOff.set(state, this.#last);
  }

  resumed(state: State): void {
    this.#last = this.#putOff.get(state) ?? null;
  }

  /** The visits of the path under way, in order; the last is the one that failed. */
  path(): readonly Visit[] {
    const visits: Visit[] = [];
    for (let link = this.#last; link !== null; link = link.parent) visits.push(link);
    return visits.reverse();
  }
}

function forgetBefore(from: Link, depth: number): void {
  for (let link: Link | null = from; link !== null; link = link.parent) if (link.depth === depth) link.parent = null;
}

/** Frames that are as they were before are shared. */
function viewFrames(frames: readonly Frame[], before: readonly FrameView[]): readonly FrameView[] {
  let isSame = frames.length === before.length;
  const views = frames.map((frame, i) => {
    const old = before[i];
    if (old !== undefined && isAsBefore(frame, old)) return old;
    isSame = false;
    const { callSite, subprogram, inCallback } = frame;
    return { registers: frame.registers.slice(), stack: frame.stack.slice(), callSite, subprogram, inCallback };
  });
  return isSame ? before : views;
}

const isAsBefore = (frame: Frame, old: FrameView): boolean =>
  frame.subprogram === old.subprogram &&
  frame.callSite === old.callSite &&
  sameItems(frame.registers, old.registers) &&
  sameItems(frame.stack, old.stack);
const sameItems = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);

/** How often each instruction was processed: what explains programs that are too complex. Keeps no path. */
export class VisitCounter implements Recorder {
  readonly counts: Uint32Array;
  constructor(slots: number) {
    this.counts = new Uint32Array(slots);
  }
  visit(env: Env): void {
    this.counts[env.insnIndex]!++;
  }
  parted(): void {}
  resumed(): void {}
}
