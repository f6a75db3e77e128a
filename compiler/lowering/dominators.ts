/**
 * Immediate dominators by Lengauer and Tarjan's algorithm with path compression, iterative: near linear also where the
 * simple fixpoint is quadratic (a long chain of checks that all leave to one exit).
 */
import type { Cfg } from "./cfg.ts";

export interface DominatorTree {
  /** immediate dominator by block; the entry's is itself */
  readonly parent: Int32Array;
  /** children by block, ascending (reverse postorder) */
  readonly children: readonly (readonly number[])[];
  /** blocks dominated, itself included */
  readonly size: Int32Array;
  dominates(a: number, b: number): boolean;
}

export function buildDominators(cfg: Cfg): DominatorTree {
  const parent = immediateDominators(cfg);
  const count = parent.length;
  const children: number[][] = Array.from({ length: count }, () => []);
  const size = new Int32Array(count).fill(1);
  for (let block = 1; block < count; block++) children[parent[block]!]!.push(block);
  // A dominator comes before what it dominates in reverse postorder.
  for (let block = count - 1; block > 0; block--) size[parent[block]!]! += size[block]!;
  const enter = numberTree(children, size);
  const dominates = (a: number, b: number): boolean => enter[a]! <= enter[b]! && enter[b]! < enter[a]! + size[a]!;
  return { parent, children, size, dominates };
}

/** Preorder numbers of the tree: a subtree is the interval [enter, enter + size). */
function numberTree(children: readonly (readonly number[])[], size: Int32Array): Int32Array {
  const enter = new Int32Array(children.length);
  for (let block = 0; block < children.length; block++) {
    let next = enter[block]! + 1;
    for (const child of children[block]!) {
      enter[child] = next;
      next += size[child]!;
    }
  }
  return enter;
}

function immediateDominators(cfg: Cfg): Int32Array {
  const count = cfg.blocks.length;
  const { order, number, treeParent } = depthFirst(cfg);
  // All arrays below are indexed by depth-first number.
  const semi = Int32Array.from({ length: count }, (_, index) => index);
  const ancestor = new Int32Array(count).fill(-1);
  const label = Int32Array.from({ length: count }, (_, index) => index);
  const idom = new Int32Array(count);
  const bucket: number[][] = Array.from({ length: count }, () => []);
  const path: number[] = [];

  const evaluate = (vertex: number): number => {
    if (ancestor[vertex] === -1) return vertex;
    let walk = vertex;
    while (ancestor[ancestor[walk]!] !== -1) {
      path.push(walk);
      walk = ancestor[walk]!;
    }
    while (path.length > 0) {
      const low = path.pop()!;
      const above = ancestor[low]!;
      if (semi[label[above]!]! < semi[label[low]!]!) label[low] = label[above]!;
      ancestor[low] = ancestor[above]!;
    }
    return label[vertex]!;
  };

  for (let vertex = count - 1; vertex > 0; vertex--) {
    for (const predecessor of cfg.predecessors[order[vertex]!]!) {
      const best = evaluate(number[predecessor]!);
      if (semi[best]! < semi[vertex]!) semi[vertex] = semi[best]!;
    }
    bucket[semi[vertex]!]!.push(vertex);
    const above = treeParent[vertex]!;
    ancestor[vertex] = above;
    for (const waiting of bucket[above]!) {
      const best = evaluate(waiting);
      idom[waiting] = semi[best]! < semi[waiting]! ? best : above;
    }
    bucket[above] = [];
  }
  const result = new Int32Array(count);
  for (let vertex = 1; vertex < count; vertex++) {
    if (idom[vertex] !== semi[vertex]) idom[vertex] = idom[idom[vertex]!]!;
    result[order[vertex]!] = order[idom[vertex]!]!;
  }
  return result;
}

function depthFirst(cfg: Cfg): {
  readonly order: Int32Array;
  readonly number: Int32Array;
  readonly treeParent: Int32Array;
} {
  const count = cfg.blocks.length;
  const order = new Int32Array(count);
  const number = new Int32Array(count).fill(-1);
  const treeParent = new Int32Array(count).fill(-1);
  let next = 0;
  const stack: number[] = [0];
  const from: number[] = [-1];
  while (stack.length > 0) {
    const block = stack.pop()!;
    const above = from.pop()!;
    if (number[block] !== -1) continue;
    number[block] = next;
    order[next] = block;
    treeParent[next] = above;
    for (const successor of cfg.successors[block]!) {
      if (number[successor] !== -1) continue;
      stack.push(successor);
      from.push(next);
    }
    next++;
  }
  return { order, number, treeParent };
}
