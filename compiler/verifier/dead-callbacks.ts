/**
 * A function whose address is taken but that no path enters: the kernel drops it as dead code and then, where no other
 * function follows it, finds nothing at the address. Kernel: opt_remove_dead_code(), jit_subprogs().
 */
import { isFunctionPointer } from "./cfg.ts";
import type { Env } from "./env.ts";
import { kernelBug } from "./failure.ts";

export function refuseDeadCallbacks(env: Env): void {
  const { seen } = env.facts;
  const live = env.subprograms.filter(({ start }) => seen[start]);
  const last = live.at(-1)?.start ?? 0;
  // A program of one function is not put together from several.
  if (live.length < 2) return;
  for (const [slot, insn] of env.insns.entries()) {
    if (!seen[slot] || !isFunctionPointer(insn)) continue;
    const target = slot + insn.imm + 1;
    if (target > last) kernelBug(env, `No program to jit at insn ${target} (subprog < 0)`);
  }
}
