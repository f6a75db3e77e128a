/**
 * Makes a graph reducible: a loop with several entries gets one, a dispatch block, to which every jump to an entry now
 * goes after setting the dispatch variable. Linear in size, where splitting nodes would be exponential.
 */
import { type Block, type Cfg, orderCfg, retarget, successorsOf } from "./cfg.ts";
import { buildDominators, type DominatorTree } from "./dominators.ts";
import { isRetreating } from "./loops.ts";

/** Rounds of repair before every join becomes a target of one dispatch block; each round repairs one level of nesting. */
const ROUNDS = 16;

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
    cfg = insertDispatch(cfg, entriesOfIrreducibleLoops(cfg, bad));
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

/** Outermost loops with several entries: the entries of each. Descends into loops with one entry only where `bad` is inside. */
function entriesOfIrreducibleLoops(cfg: Cfg, bad: Uint8Array): number[][] {
  const region = new Int32Array(cfg.blocks.length);
  const groups: number[][] = [];
  let regions = 0;
  const work: { readonly blocks: readonly number[]; readonly header: number }[] = [
    { blocks: cfg.blocks.map((_, index) => index), header: -1 },
  ];
  while (work.length > 0) {
    const { blocks, header } = work.pop()!;
    regions++;
    for (const block of blocks) region[block] = regions;
    for (const component of components(cfg, blocks, header, region, regions)) {
      if (!component.some((block) => bad[block] === 1)) continue;
      const inside = new Set(component);
      const entries = component.filter(
        (block) => block === 0 || cfg.predecessors[block]!.some((from) => !inside.has(from)),
      );
      if (entries.length > 1) groups.push(entries.sort((a, b) => a - b));
      else work.push({ blocks: component, header: entries[0]! });
    }
  }
  return groups;
}

/** Strongly connected components of more than one block among `blocks`, not following edges to `header`. Tarjan, iterative. */
function components(
  cfg: Cfg,
  blocks: readonly number[],
  header: number,
  region: Int32Array,
  regionId: number,
): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const onStack = new Set<number>();
  const open: number[] = [];
  const found: number[][] = [];
  for (const root of blocks) {
    if (index.has(root)) continue;
    const walk: { readonly block: number; next: number }[] = [];
    const enter = (block: number): void => {
      index.set(block, index.size);
      low.set(block, index.get(block)!);
      open.push(block);
      onStack.add(block);
      walk.push({ block, next: 0 });
    };
    enter(root);
    while (walk.length > 0) {
      const top = walk[walk.length - 1]!;
      const successor = cfg.successors[top.block]![top.next++];
      if (successor !== undefined) {
        if (successor === header || region[successor] !== regionId) continue;
        if (!index.has(successor)) enter(successor);
        else if (onStack.has(successor)) low.set(top.block, Math.min(low.get(top.block)!, index.get(successor)!));
        continue;
      }
      walk.pop();
      const above = walk[walk.length - 1];
      if (above !== undefined) low.set(above.block, Math.min(low.get(above.block)!, low.get(top.block)!));
      if (low.get(top.block) !== index.get(top.block)) continue;
      const component: number[] = [];
      let member: number;
      do {
        member = open.pop()!;
        onStack.delete(member);
        component.push(member);
      } while (member !== top.block);
      if (component.length > 1) found.push(component);
    }
  }
  return found;
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
