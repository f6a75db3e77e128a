/** References: what a helper gave and the program must give back. Kernel: acquire_reference(), check_reference_leak(). */
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { UNKNOWN } from "./register.ts";
import { mapRegisters } from "./state.ts";

/** Returns the id of the new reference. */
export function acquireReference(env: Env): number {
  const id = env.newId();
  env.state.references = [...env.state.references, { kind: "pointer", id, insnIndex: env.insnIndex }];
  return id;
}

/** False where it is not held. Everything that points into it becomes a plain number. */
export function releaseReference(env: Env, id: number): boolean {
  const { state } = env;
  const rest = state.references.filter((reference) => reference.id !== id || reference.kind !== "pointer");
  if (rest.length === state.references.length) return false;
  state.references = rest;
  mapRegisters(state, (reg) => (reg.refId === id ? UNKNOWN : reg));
  return true;
}

/**
 * `what` leaves the program: nothing may be held, and no section be open. A subprogram may hold what its caller gives back,
 * unless it never returns there. Kernel: check_resource_leak()
 */
export function checkNoLeak(env: Env, what: string, from: "main" | "anywhere" = "main"): void {
  const { state } = env;
  const refuse = (section: string): never =>
    reject(env, "EINVAL", `${what} cannot be used inside ${section}-ed region`);
  if (state.locks > 0) refuse("bpf_spin_lock");
  const pointers = state.references.filter(({ kind }) => kind === "pointer");
  if ((from === "anywhere" || state.frames.length === 1) && pointers.length > 0) {
    const held = pointers.map(({ id, insnIndex }) => `Unreleased reference id=${id} alloc_insn=${insnIndex}`);
    reject(env, "EINVAL", ...held, `${what} would lead to reference leak`);
  }
  if (state.irqId !== 0) refuse("bpf_local_irq_save");
  if (state.rcuLocks > 0) refuse("bpf_rcu_read_lock");
  if (state.preemptLocks > 0) refuse("bpf_preempt_disable");
}
