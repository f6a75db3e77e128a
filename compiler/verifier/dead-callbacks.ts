/**
 * A function whose address is taken but that no path enters: the kernel drops it as dead code. Its address then is that of what
 * follows, where it began a stretch of dead code, else one inside of other code or behind all of it, where the kernel finds no
 * function. Kernel: opt_remove_dead_code(), bpf_adj_delta_to_imm(), jit_subprogs().
 */
import { isFunctionPointer } from "./cfg.ts";
import type { Env } from "./env.ts";
import { kernelBug } from "./failure.ts";

export function refuseDeadCallbacks(env: Env): void {
  const { seen } = env.facts;
  const live = env.subprograms.filter(({ start }) => seen[start]);
  // A program of one function is not put together from several.
  if (live.length < 2) return;
  let move: ((slot: number) => number) | null = null;
  let starts: ReadonlySet<number> | null = null;
  for (const [slot, insn] of env.insns.entries()) {
    if (!seen[slot] || !isFunctionPointer(insn)) continue;
    const target = slot + insn.imm + 1;
    if (seen[target]) continue;
    move ??= withoutDeadCode(env);
    starts ??= new Set(live.map(({ start }) => move!(start)));
    if (!starts.has(move(target))) kernelBug(env, `No program to jit at insn ${target} (subprog < 0)`);
  }
}

/** Where addresses lead once dead code is gone. Those of what is dropped itself stay as they were until then. */
function withoutDeadCode(env: Env): (slot: number) => number {
  const { seen } = env.facts;
  const stretches: { end: number; count: number }[] = [];
  let removed = 0;
  let count = 0;
  for (let slot = 0; slot <= env.insns.length; slot++) {
    const isDead = slot < env.insns.length && !seen[slot] && !isSecondHalf(env, slot);
    if (isDead) count++;
    else if (count > 0) {
      stretches.push({ end: slot - removed, count });
      removed += count;
      count = 0;
    }
  }
  return (slot) => stretches.reduce((at, { end, count }) => (at >= end ? at - count : at), slot);
}

/** Of a wide immediate that is alive. */
const isSecondHalf = (env: Env, slot: number): boolean =>
  env.insns[slot]!.opcode === 0 && env.facts.seen[slot - 1] === 1;
