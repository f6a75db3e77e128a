/**
 * Makes a graph reducible: a loop with several entries gets one, a dispatch block, to which every jump to an entry now
 * goes after setting the dispatch variable. Linear in size, where splitting nodes would be exponential.
 */
import { type Block, type Cfg, orderCfg, retarget, successorsOf } from "./cfg.ts";
import { buildDominators, type DominatorTree } from "./dominators.ts";
import { isRetreating } from "./loops.ts";

/** Rounds of repair before every join becomes a target of one dispatch block; each round repairs one level of nesting. */
const ROUNDS = 8;
/** Visits of one round per block: irreducible loops deeper inside other loops than this are not searched for. */
const VISITS_PER_BLOCK = 50;

export interface ReducibleCfg {
  readonly cfg: Cfg;
  readonly dominators: DominatorTree;
}

export function makeReducible(original: Cfg): ReducibleCfg {
  let cfg = original;
  for (let round = 0; round < ROUNDS; round++) {
    const dominators = buildDominators(cfg);
    const bad = badTargets(cfg, dominators);
    if (bad === null) return { cfg, dominators };
    const groups = entriesOfIrreducibleLoops(cfg, bad);
    if (groups === null) break;
    cfg = insertDispatch(cfg, groups);
  }
  return dispatchJoins(cfg);
}

/** The flattest form: every block with several predecessors is entered through one dispatch block. Slow, but never deep. */
export function dispatchJoins(cfg: Cfg): ReducibleCfg {
  const joins: number[] = [];
  cfg.predecessors.forEach((from, block) => {
    if (from.length > 1 || (block === 0 && from.length > 0)) joins.push(block);
  });
  const flat = insertDispatch(cfg, [joins]);
  return { cfg: flat, dominators: buildDominators(flat) };
}

/** Marks blocks that a retreating edge enters without being dominated by them, and the sources. Null: there are none. */
function badTargets(cfg: Cfg, dominators: DominatorTree): Uint8Array | null {
  let bad: Uint8Array | null = null;
  cfg.successors.forEach((targets, from) => {
    for (const to of targets) {
      if (!isRetreating(from, to) || dominators.dominates(to, from)) continue;
      bad ??= new Uint8Array(cfg.blocks.length);
      bad[to] = 1;
    }
  });
  return bad;
}

/**
 * Outermost loops with several entries: the entries of each. Descends into loops with one entry only where `bad` is inside.
 * Null: they are nested too deep to be found in linear time.
 */
function entriesOfIrreducibleLoops(cfg: Cfg, bad: Uint8Array): number[][] | null {
  const groups: number[][] = [];
  const search = new ComponentSearch(cfg);
  const work: Region[] = [{ blocks: cfg.blocks.map((_, index) => index), header: -1 }];
  let visits = 0;
  while (work.length > 0) {
    const region = work.pop()!;
    visits += region.blocks.length;
    if (visits > VISITS_PER_BLOCK * cfg.blocks.length) return null;
    for (const component of search.find(region)) {
      if (!component.some((block) => bad[block] === 1)) continue;
      const entries = search.entries(component);
      if (entries.length > 1) groups.push(entries);
      else work.push({ blocks: component, header: entries[0]! });
    }
  }
  return groups;
}

/** Blocks without the edges back to `header`. */
interface Region {
  readonly blocks: readonly number[];
  readonly header: number;
}

/** Strongly connected components of regions of one graph: Tarjan's algorithm with an explicit stack. */
class ComponentSearch {
  readonly #cfg: Cfg;
  /** by block: the region that was searched last with it inside */
  readonly #region: Int32Array;
  /** by block: order of the visit, -1: not visited in this region; lowest order reached; on the stack of open blocks */
  readonly #order: Int32Array;
  readonly #low: Int32Array;
  readonly #isOpen: Uint8Array;
  /** by block: the component that it was found in last */
  readonly #component: Int32Array;
  #regions = 0;
  #components = 0;

  constructor(cfg: Cfg) {
    const count = cfg.blocks.length;
    this.#cfg = cfg;
    this.#region = new Int32Array(count);
    this.#order = new Int32Array(count);
    this.#low = new Int32Array(count);
    this.#isOpen = new Uint8Array(count);
    this.#component = new Int32Array(count);
  }

  /** Components of more than one block. */
  find({ blocks, header }: Region): number[][] {
    this.#regions++;
    for (const block of blocks) {
      this.#region[block] = this.#regions;
      this.#order[block] = -1;
    }
    const found: number[][] = [];
    let visits = 0;
    const open: number[] = [];
    const walk: number[] = [];
    const next: number[] = [];
    const enter = (block: number): void => {
      this.#order[block] = visits;
      this.#low[block] = visits++;
      this.#isOpen[block] = 1;
      open.push(block);
      walk.push(block);
      next.push(0);
    };
    for (const root of blocks) {
      if (this.#order[root] !== -1) continue;
      enter(root);
      while (walk.length > 0) {
        const top = walk.length - 1;
        const block = walk[top]!;
        const successor = this.#cfg.successors[block]![next[top]!++];
        if (successor !== undefined) {
          if (successor === header || this.#region[successor] !== this.#regions) continue;
          if (this.#order[successor] === -1) enter(successor);
          else if (this.#isOpen[successor] === 1) this.#lower(block, this.#order[successor]!);
          continue;
        }
        walk.pop();
        next.pop();
        if (top > 0) this.#lower(walk[top - 1]!, this.#low[block]!);
        if (this.#low[block] !== this.#order[block]) continue;
        const component = this.#close(open, block);
        if (component.length > 1) found.push(component);
      }
    }
    return found;
  }

  /** Blocks of a component that `find` gave last that are entered from outside of it. */
  entries(component: readonly number[]): number[] {
    const id = this.#component[component[0]!]!;
    return component
      .filter((block) => block === 0 || this.#cfg.predecessors[block]!.some((from) => this.#component[from] !== id))
      .sort((a, b) => a - b);
  }

  #lower(block: number, order: number): void {
    if (order < this.#low[block]!) this.#low[block] = order;
  }

  #close(open: number[], root: number): number[] {
    this.#components++;
    const component: number[] = [];
    for (;;) {
      const member = open.pop()!;
      this.#isOpen[member] = 0;
      this.#component[member] = this.#components;
      component.push(member);
      if (member === root) return component;
    }
  }
}

/**
 * A dispatch block per group, and on every edge to a member of a group a block that selects it. The groups of one round
 * share a variable. Other rounds need others: a later one may put its own selection between one of this and its dispatch.
 */
function insertDispatch(cfg: Cfg, groups: readonly (readonly number[])[]): Cfg {
  const variable = unusedVariable(cfg);
  const blocks: Block[] = [...cfg.blocks];
  const dispatcher = new Int32Array(cfg.blocks.length).fill(-1);
  const choice = new Int32Array(cfg.blocks.length);
  for (const group of groups) {
    group.forEach((target, index) => {
      dispatcher[target] = blocks.length;
      choice[target] = index;
    });
    blocks.push({ first: 0, end: 0, select: null, exit: { kind: "dispatch", variable, targets: group } });
  }
  const through = (target: number): number => {
    if (dispatcher[target]! < 0) return target;
    const select = { variable, value: choice[target]! };
    blocks.push({ first: 0, end: 0, select, exit: { kind: "jump", to: dispatcher[target]! } });
    return blocks.length - 1;
  };
  for (let index = 0; index < cfg.blocks.length; index++) {
    const block = blocks[index]!;
    if (successorsOf(block.exit).length > 0) blocks[index] = { ...block, exit: retarget(block.exit, through) };
  }
  return orderCfg(blocks, through(0));
}

function unusedVariable(cfg: Cfg): number {
  let variable = 0;
  for (const { exit } of cfg.blocks) if (exit.kind === "dispatch") variable = Math.max(variable, exit.variable + 1);
  return variable;
}
