/**
 * A reducible graph → structured control flow: a flat list of operations (block, loop, if, end, br), after N. Ramsey's
 * "Beyond Relooper" on the dominator tree, with an explicit stack and three additions that keep the nesting low: of two
 * arms the larger stays outside the `if`; a run of blocks opens its joins together, as first children of each other, which
 * binaryen walks without recursion; what leaves a loop is placed behind it.
 */
import type { Cfg } from "./cfg.ts";
import type { DominatorTree } from "./dominators.ts";
import { buildLoops, isRetreating, type LoopForest } from "./loops.ts";
import { dispatchJoins, makeReducible } from "./reducible.ts";

/** Where a branch goes: to the loop that block heads, or to the end of the block construct behind which it is placed. */
export interface Label {
  readonly block: number;
  readonly isLoop: boolean;
}

export type Op =
  | { readonly op: "block"; readonly label: Label }
  | { readonly op: "loop"; readonly label: Label }
  /** on the condition of `block`'s branch, negated or not */
  | { readonly op: "if"; readonly block: number; readonly negate: boolean }
  | { readonly op: "end" }
  /** the statements of a block */
  | { readonly op: "code"; readonly block: number }
  | { readonly op: "br"; readonly label: Label }
  | { readonly op: "brIf"; readonly block: number; readonly negate: boolean; readonly label: Label }
  | { readonly op: "brTable"; readonly variable: number; readonly labels: readonly Label[] }
  | { readonly op: "exit" }
  | { readonly op: "unreachable" };

export interface Structured {
  /** the graph that the operations speak of: dispatch blocks may have been added */
  readonly cfg: Cfg;
  readonly ops: readonly Op[];
}

/** Nesting (first children not counted) beyond which binaryen's passes become quadratic or exhaust their stack. */
const NESTING_LIMIT = 200;

export function structure(original: Cfg): Structured {
  const reducible = makeReducible(original);
  const loops = buildLoops(reducible.cfg);
  if (loops.depth <= NESTING_LIMIT) {
    for (const placement of ["dominator", "loop"] as const) {
      const ops = new Structurer(reducible.cfg, reducible.dominators, loops, placement).run();
      if (ops !== null) return { cfg: reducible.cfg, ops };
    }
  }
  const flat = dispatchJoins(reducible.cfg);
  const ops = new Structurer(flat.cfg, flat.dominators, buildLoops(flat.cfg), "loop").run(Number.POSITIVE_INFINITY);
  return { cfg: flat.cfg, ops: ops! };
}

type Work = Op | { readonly op: "node"; readonly block: number } | { readonly op: "inner"; readonly block: number };
const END = { op: "end" } as const;

/**
 * Where joins are placed. "dominator": behind the code of their immediate dominator (Ramsey), which keeps the scopes
 * short. "loop": all at the start of the loop around them, which nests no deeper than the loops do.
 */
type Placement = "dominator" | "loop";

class Structurer {
  readonly #cfg: Cfg;
  readonly #dominators: DominatorTree;
  readonly #loops: LoopForest;
  /** blocks that need a label: placed behind a block construct, not where they are jumped to */
  readonly #labelled: Uint8Array;
  /** by block: labelled blocks to open outside of its loop, ascending */
  readonly #outside: (number[] | undefined)[];
  /** by block: labelled blocks to open before its code, inside of its loop, ascending */
  readonly #inside: (number[] | undefined)[];

  constructor(cfg: Cfg, dominators: DominatorTree, loops: LoopForest, placement: Placement) {
    this.#cfg = cfg;
    this.#dominators = dominators;
    this.#loops = loops;
    const count = cfg.blocks.length;
    this.#labelled = new Uint8Array(count);
    this.#outside = new Array(count);
    this.#inside = new Array(count);
    for (let block = 1; block < count; block++) this.#place(block, placement);
  }

  #place(block: number, placement: Placement): void {
    const above = this.#dominators.parent[block]!;
    const left = this.#outermostLeftLoop(above, block);
    const forward = this.#cfg.predecessors[block]!.filter((from) => !isRetreating(from, block));
    const isJoin = forward.length > 1 || this.#cfg.blocks[above]!.exit.kind === "dispatch";
    if (left < 0 && !isJoin) return;
    this.#labelled[block] = 1;
    if (placement === "loop") {
      const header = this.#loops.container[block]!;
      if (header < 0) push(this.#outside, 0, block);
      else push(this.#inside, header, block);
    } else if (left >= 0) push(this.#outside, left, block);
    else push(this.#inside, above, block);
  }

  /** The outermost loop that holds `from` but not `to`, which it dominates; -1: none. */
  #outermostLeftLoop(from: number, to: number): number {
    const { container, isHeader } = this.#loops;
    const around = container[to]!;
    let left = -1;
    let loop = isHeader[from] === 1 ? from : container[from]!;
    while (loop >= 0 && loop !== around) {
      left = loop;
      loop = container[loop]!;
    }
    return left;
  }

  /** Null when the nesting passes `limit`. */
  run(limit = NESTING_LIMIT): Op[] | null {
    const ops: Op[] = [];
    const nesting: number[] = [];
    const work: Work[] = [{ op: "node", block: 0 }];
    let depth = 0;
    while (work.length > 0) {
      const item = work.pop()!;
      if (item.op === "node" || item.op === "inner") {
        const sequence = item.op === "node" ? this.#node(item.block) : this.#inner(item.block);
        for (let index = sequence.length - 1; index >= 0; index--) work.push(sequence[index]!);
        continue;
      }
      if (item.op === "block" || item.op === "loop" || item.op === "if") {
        const isFirstChild = item.op === "block" && ops[ops.length - 1]?.op === "block";
        nesting.push(isFirstChild ? 0 : 1);
        depth += isFirstChild ? 0 : 1;
        if (depth > limit) return null;
      } else if (item.op === "end") {
        depth -= nesting.pop()!;
        dropJumpToHere(ops);
      }
      ops.push(item);
    }
    return ops;
  }

  /** A block with all that it dominates, its loop included. Control never falls out of it. */
  #node(block: number): Work[] {
    const outside = this.#outside[block] ?? [];
    if (this.#loops.isHeader[block] !== 1) return [...open(outside), { op: "inner", block }, ...this.#close(outside)];
    return [
      ...open(outside),
      { op: "loop", label: { block, isLoop: true } },
      { op: "inner", block },
      END,
      ...this.#close(outside),
    ];
  }

  /** The run of blocks that starts with `block` and continues with the larger arm of each. */
  #inner(block: number): Work[] {
    const joins: number[] = [];
    const code: Work[] = [];
    const close: number[] = [];
    for (let current = block; ; ) {
      const inside = this.#inside[current];
      if (inside !== undefined) for (let index = inside.length - 1; index >= 0; index--) joins.push(inside[index]!);
      code.push({ op: "code", block: current });
      const next = this.#leave(current, code);
      if (next < 0) break;
      if (this.#loops.isHeader[next] === 1) {
        const outside = this.#outside[next] ?? [];
        for (let index = outside.length - 1; index >= 0; index--) joins.push(outside[index]!);
        code.push({ op: "loop", label: { block: next, isLoop: true } }, { op: "inner", block: next }, END);
        break;
      }
      current = next;
    }
    for (let index = joins.length - 1; index >= 0; index--) close.push(joins[index]!);
    return [
      ...joins.map((join): Work => ({ op: "block", label: { block: join, isLoop: false } })),
      ...code,
      ...this.#close(close),
    ];
  }

  /** Adds what ends `block`; returns the block that follows it in place, -1 where none does. */
  #leave(block: number, code: Work[]): number {
    const exit = this.#cfg.blocks[block]!.exit;
    switch (exit.kind) {
      case "exit":
        code.push({ op: "exit" });
        return -1;
      case "trap":
        code.push({ op: "unreachable" });
        return -1;
      case "jump":
        if (this.#isInPlace(block, exit.to)) return exit.to;
        code.push({ op: "br", label: this.#label(block, exit.to) });
        return -1;
      case "dispatch":
        code.push({
          op: "brTable",
          variable: exit.variable,
          labels: exit.targets.map((target) => this.#label(block, target)),
        });
        return -1;
      case "branch":
        return this.#branch(block, exit.taken, exit.fallthrough, code);
    }
  }

  #branch(block: number, taken: number, fallthrough: number, code: Work[]): number {
    const takenInPlace = this.#isInPlace(block, taken);
    const fallthroughInPlace = this.#isInPlace(block, fallthrough);
    if (takenInPlace && fallthroughInPlace) {
      const { size } = this.#dominators;
      const nestTaken = size[taken]! <= size[fallthrough]!;
      const nested = nestTaken ? taken : fallthrough;
      code.push({ op: "if", block, negate: !nestTaken }, { op: "node", block: nested }, END);
      return nestTaken ? fallthrough : taken;
    }
    if (takenInPlace) {
      code.push({ op: "brIf", block, negate: true, label: this.#label(block, fallthrough) });
      return taken;
    }
    code.push({ op: "brIf", block, negate: false, label: this.#label(block, taken) });
    if (fallthroughInPlace) return fallthrough;
    code.push({ op: "br", label: this.#label(block, fallthrough) });
    return -1;
  }

  #isInPlace(from: number, to: number): boolean {
    return !isRetreating(from, to) && this.#labelled[to] === 0;
  }

  #label(from: number, to: number): Label {
    return { block: to, isLoop: isRetreating(from, to) };
  }

  #close(joins: readonly number[]): Work[] {
    const sequence: Work[] = [];
    for (const block of joins) sequence.push(END, { op: "node", block });
    return sequence;
  }
}

const open = (joins: readonly number[]): Work[] => {
  const sequence: Work[] = [];
  for (let index = joins.length - 1; index >= 0; index--)
    sequence.push({ op: "block", label: { block: joins[index]!, isLoop: false } });
  return sequence;
};

function push(lists: (number[] | undefined)[], at: number, block: number): void {
  const list = lists[at];
  if (list === undefined) lists[at] = [block];
  else list.push(block);
}

/** A `br` to the block construct that ends right behind it does nothing. */
function dropJumpToHere(ops: Op[]): void {
  const last = ops[ops.length - 1]!;
  if (last.op !== "br" || last.label.isLoop) return;
  let open = 0;
  for (let index = ops.length - 2; index >= 0 && index > ops.length - 64; index--) {
    const item = ops[index]!;
    if (item.op === "end") open++;
    else if (item.op === "block" || item.op === "loop" || item.op === "if") {
      if (open > 0) open--;
      else {
        if (item.op === "block" && item.label.block === last.label.block) ops.pop();
        return;
      }
    }
  }
}
