/**
 * Strongly connected components of the control flow, function by function: the loops. Tarjan's algorithm, iterative.
 * A call with a callback is none by itself (in Linux 6.18). Kernel: compute_scc().
 */
import type { Env } from "./env.ts";
import { successors } from "./liveness.ts";

/** Fills notes.component with 1 … n for slots in a loop; returns n. */
export function findComponents(env: Env): number {
  const { insns, notes } = env;
  const preorder = new Int32Array(insns.length);
  const low = new Int32Array(insns.length);
  const settled = new Uint8Array(insns.length);
  const path: number[] = [];
  let visited = 0;
  let components = 0;

  for (let root = 0; root < insns.length; root++) {
    if (preorder[root] || insns[root]!.opcode === 0) continue;
    const walk = [root];
    while (walk.length > 0) {
      const slot = walk.at(-1)!;
      if (preorder[slot] === 0) {
        preorder[slot] = low[slot] = ++visited;
        path.push(slot);
      }
      const next = successors(insns, slot);
      const fresh = next.find((to) => preorder[to] === 0);
      if (fresh !== undefined) {
        walk.push(fresh);
        continue;
      }
      for (const to of next) if (!settled[to]) low[slot] = Math.min(low[slot]!, low[to]!);
      walk.pop();
      if (low[slot]! < preorder[slot]!) continue;
      const isLoop = path.at(-1) !== slot || next.includes(slot);
      if (isLoop) components++;
      for (let member = -1; member !== slot; ) {
        member = path.pop()!;
        settled[member] = 1;
        if (isLoop) notes.component[member] = components;
      }
    }
  }
  return components;
}
