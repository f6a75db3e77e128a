/** Natural loops of a reducible graph: which loop a block lies in. Near linear: inner loops are collapsed by union-find. */
import type { Cfg } from "./cfg.ts";

export interface LoopForest {
  /** header of the innermost loop around a block, not counting the loop that the block itself heads; -1: none */
  readonly container: Int32Array;
  readonly isHeader: Uint8Array;
  /** loops around each other, at most */
  readonly depth: number;
}

/** An edge that does not go forward in reverse postorder. In a reducible graph its target heads a loop around its source. */
export const isRetreating = (from: number, to: number): boolean => to <= from;

export function buildLoops(cfg: Cfg): LoopForest {
  const count = cfg.blocks.length;
  const container = new Int32Array(count).fill(-1);
  const isHeader = new Uint8Array(count);
  const collapsed = Int32Array.from({ length: count }, (_, index) => index);
  const find = (block: number): number => {
    let root = block;
    while (collapsed[root] !== root) root = collapsed[root]!;
    for (let walk = block; collapsed[walk] !== root; ) {
      const next = collapsed[walk]!;
      collapsed[walk] = root;
      walk = next;
    }
    return root;
  };
  for (let header = count - 1; header >= 0; header--) {
    const work = cfg.predecessors[header]!.filter((from) => isRetreating(from, header));
    if (work.length === 0) continue;
    isHeader[header] = 1;
    while (work.length > 0) {
      const block = find(work.pop()!);
      if (block === header) continue;
      container[block] = header;
      collapsed[block] = header;
      for (const from of cfg.predecessors[block]!) if (!isRetreating(from, block)) work.push(from);
    }
  }
  return { container, isHeader, depth: deepest(container, isHeader) };
}

function deepest(container: Int32Array, isHeader: Uint8Array): number {
  const depths = new Int32Array(container.length);
  let depth = 0;
  for (let block = 0; block < container.length; block++) {
    // A loop's header comes before its blocks in reverse postorder.
    const outer = container[block]! < 0 ? 0 : depths[container[block]!]!;
    depths[block] = outer + isHeader[block]!;
    if (depths[block]! > depth) depth = depths[block]!;
  }
  return depth;
}
