/**
 * Spin locks: one at a time, given back where it was taken, and next to nothing called in between. A held lock is a
 * reference whose id is that of the value it lies in. Kernel: process_spin_lock(), acquire_lock_state().
 */

import { PSEUDO_CALL } from "../../spec/isa.ts";
import { specialField } from "../../spec/special-fields.ts";
import type { Insn } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { kernelFunctionOf } from "./kernel-function.ts";
import { baseType, FLAG, REG, type RegState, UNKNOWN } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { mapRegisters, type Reference, type State } from "./state.ts";
import { fieldsBehind, findField } from "./value-fields.ts";

type LockKind = Extract<Reference["kind"], "spinLock" | "resilientLock" | "resilientIrqLock">;

const isLock = (reference: Reference): boolean =>
  reference.kind === "spinLock" || reference.kind === "resilientLock" || reference.kind === "resilientIrqLock";

/** The lock taken last, undefined where none is held. Kernel: active_lock_id, active_lock_ptr */
export const lastLock = (state: State): Reference | undefined => state.references.findLast(isLock);

/** Whether the path is in the callback that compares nodes of a tree. Kernel: in_rbtree_lock_required_cb() */
export const isInLess = (env: Env): boolean =>
  env.state.frames.some((frame) => {
    if (!frame.inCallback) return false;
    const target = kernelFunctionOf(env, env.insns[frame.callSite]!);
    return target?.name.startsWith("bpf_rbtree_") === true;
  });

/** Takes or gives back the lock that `register` points to. */
export function checkLock(env: Env, register: number, kind: LockKind, does: "lock" | "unlock"): void {
  const reg = env.register(register);
  if (isInLess(env)) reject(env, "EACCES", `can't ${kind === "spinLock" ? "" : "res_"}spin_{lock,unlock} in rbtree cb`);
  const { owner, name } = requireLock(env, register, reg, kind);
  if (does === "lock") take(env, { kind, id: reg.id, insnIndex: env.insnIndex, owner });
  else giveBack(env, { kind, id: reg.id, insnIndex: env.insnIndex, owner }, name);
}

/** `owner`: the map, or the BTF of the object's type. */
function requireLock(
  env: Env,
  register: number,
  reg: RegState,
  kind: LockKind,
): { readonly owner: object; readonly name: string } {
  const fieldKind = kind === "spinLock" ? "spinLock" : "resSpinLock";
  const name = specialField(fieldKind).shown;
  const variable = constantOf(reg.value);
  if (variable === null) {
    reject(env, "EINVAL", `R${register} doesn't have constant offset. ${name} has to be at the constant offset`);
  }
  const { map } = reg;
  const isMap = reg.type === REG.MAP_VALUE;
  if (isMap && !map!.btf) reject(env, "EINVAL", `map '${map!.name}' has to have BTF in order to use ${name}`);
  const field = findField(fieldsBehind(env, reg), fieldKind);
  if (field === undefined) {
    reject(env, "EINVAL", `${isMap ? `map '${map!.name}'` : "local 'kptr'"} has no valid ${name}`);
  }
  const at = BigInt.asIntN(64, variable) + BigInt(reg.off);
  if (at !== BigInt(field.offsetBytes)) {
    reject(env, "EINVAL", `off ${at} doesn't point to 'struct ${name}' that is at ${field.offsetBytes}`);
  }
  return { owner: isMap ? map! : reg.btf!, name };
}

const isSame = (one: Reference, other: Reference): boolean => one.id === other.id && one.owner === other.owner;

function take(env: Env, lock: Reference): void {
  const { state } = env;
  const isResilient = lock.kind !== "spinLock";
  if (isResilient && state.references.some((held) => isLock(held) && held.kind !== "spinLock" && isSame(held, lock))) {
    reject(env, "EINVAL", "Acquiring the same lock again, AA deadlock detected");
  }
  state.references = [...state.references, lock];
  state.locks++;
}

/** Whether the lock of the value or object that `reg` points into is held. Kernel: check_reg_allocation_locked() */
export function holdsLockOf(env: Env, reg: RegState): "held" | "another" | "none" {
  const { state } = env;
  if (state.locks === 0) return "none";
  const owner = reg.type === REG.MAP_VALUE ? reg.map : reg.btf;
  const isHeld = state.references.some((held) => isLock(held) && held.id === reg.id && held.owner === owner);
  return isHeld ? "held" : "another";
}

function giveBack(env: Env, lock: Reference, name: string): void {
  const { state } = env;
  const short = name.slice(0, -"_lock".length);
  if (state.locks === 0) reject(env, "EINVAL", `${short}_unlock without taking a lock`);
  const held = state.references.find((other) => other.kind === lock.kind && isSame(other, lock));
  if (held === undefined) reject(env, "EINVAL", `${short}_unlock of different lock`);
  if (!isSame(lastLock(state)!, lock)) reject(env, "EINVAL", `${short}_unlock cannot be out of order`);
  state.references = state.references.filter((other) => other !== held);
  state.locks--;
  forgetNodes(state);
}

/** Nodes that lists and trees own may be gone once the lock is. Kernel: invalidate_non_owning_refs() */
export function forgetNodes(state: State): void {
  mapRegisters(state, (reg) => (baseType(reg.type) === REG.BTF && reg.type & FLAG.NON_OWNING ? UNKNOWN : reg));
}

const ALLOWED_HELPERS: ReadonlySet<number> = new Set([94, 194]);
const ALLOWED_FUNCTIONS =
  /^bpf_(list_(push|pop)_(front|back)(_impl)?|list_(front|back)|rbtree_(add_impl|remove|first|root|left|right)|refcount_acquire_impl|iter_num_(new|next|destroy)|res_spin_(un)?lock(_irqsave|_irqrestore)?)$/;

/** What is called while a lock is held: its end, exchanges of kept pointers, lists and trees, static subprograms. */
export function checkCallUnderLock(env: Env, insn: Insn, kernelFunction: string | null): void {
  if (env.state.locks === 0) return;
  if (insn.src === PSEUDO_CALL.HELPER && ALLOWED_HELPERS.has(insn.imm)) return;
  if (insn.src === PSEUDO_CALL.SUBPROG) return;
  if (insn.src === PSEUDO_CALL.KFUNC && insn.off === 0 && ALLOWED_FUNCTIONS.test(kernelFunction ?? "")) return;
  reject(env, "EINVAL", "function calls are not allowed while holding a lock");
}
