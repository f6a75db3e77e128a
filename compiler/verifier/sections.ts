/**
 * Sections of a program in which something is held that other calls must respect: RCU read locks, preemption and interrupts
 * switched off. Kernel: check_kfunc_call(), process_irq_flag(), check_resource_leak().
 */

import { isInRcuSection } from "./btf-match.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { hasFlag, type KernelFunction } from "./kernel-function.ts";
import { checkAccess } from "./memory.ts";
import { edit, FLAG, pointerReg, REG, type RegState } from "./register.ts";
import { type ObjectPlace, objectPlace } from "./stack-object.ts";
import {
  BYTE,
  byteKind,
  EMPTY_SLOT,
  mapRegisters,
  type Reference,
  SLOT_BYTES,
  type State,
  withByteKind,
} from "./state.ts";

/** What a function does to the sections that the path is in; that it may be called in them. */
export function enterOrLeaveSection(env: Env, target: KernelFunction): void {
  const { state } = env;
  const { name } = target;
  const sleeps = hasFlag(target, "sleepable");
  switch (name) {
    case "bpf_rcu_read_lock":
      if (state.rcuLocks > 0) reject(env, "EINVAL", `nested rcu read lock (kernel function ${name})`);
      state.rcuLocks = 1;
      break;
    case "bpf_rcu_read_unlock":
      if (state.rcuLocks === 0) reject(env, "EINVAL", `unmatched rcu read unlock (kernel function ${name})`);
      state.rcuLocks = 0;
      forgetRcu(state);
      break;
    case "bpf_preempt_disable":
      state.preemptLocks++;
      break;
    case "bpf_preempt_enable":
      if (state.preemptLocks === 0) {
        reject(env, "EINVAL", `unmatched attempt to enable preemption (kernel function ${name})`);
      }
      state.preemptLocks--;
  }
  const refuse = (section: string): never =>
    reject(env, "EACCES", `kernel func ${name} is sleepable within ${section}`);
  if (sleeps && state.rcuLocks > 0) refuse("rcu_read_lock region");
  if (sleeps && state.preemptLocks > 0) refuse("non-preemptible region");
  if (sleeps && state.irqId !== 0) refuse("IRQ-disabled region");
  if (hasFlag(target, "rcuProtected") && !isInRcuSection(env)) {
    reject(env, "EACCES", `kernel func ${name} requires RCU critical section protection`);
  }
}

/** A helper that may sleep. */
export function refuseInSection(env: Env, helper: { readonly name: string; readonly id: number }): void {
  const { rcuLocks, preemptLocks, irqId } = env.state;
  const refuse = (section: string): never =>
    reject(env, "EINVAL", `sleepable helper ${helper.name}#${helper.id} in ${section}`);
  if (rcuLocks > 0) refuse("rcu_read_lock region");
  if (preemptLocks > 0) refuse("non-preemptible region");
  if (irqId !== 0) refuse("IRQ-disabled region");
}

/** A global function that may sleep. Kernel: check_func_call() */
export function refuseGlobalInSection(env: Env): void {
  const { rcuLocks, preemptLocks, irqId } = env.state;
  if (env.program.sleepable && rcuLocks === 0 && preemptLocks === 0 && irqId === 0) return;
  reject(
    env,
    "EINVAL",
    "global functions that may sleep are not allowed in non-sleepable context,",
    "i.e., in a RCU/IRQ/preempt-disabled section, or in",
    "a non-sleepable BPF program context",
  );
}

/** What the section kept alive may be gone. */
function forgetRcu(state: State): void {
  mapRegisters(state, withoutRcu);
  for (const frame of state.frames) {
    for (const [s, { kinds, reg }] of frame.stack.entries()) {
      if (byteKind(kinds, 0) !== BYTE.ITERATOR) continue;
      const changed = withoutRcu(reg);
      if (changed !== reg) frame.stack[s] = { kinds, reg: changed };
    }
  }
}

function withoutRcu(reg: RegState): RegState {
  if (!(reg.type & FLAG.RCU)) return reg;
  const changed = edit(reg);
  changed.type = (changed.type & ~(FLAG.RCU | FLAG.MAYBE_NULL)) | FLAG.UNTRUSTED;
  return changed;
}

const ALL_IRQ_FLAG = Array.from({ length: SLOT_BYTES }, (_, byte) => byte).reduce(
  (kinds, byte) => withByteKind(kinds, byte, BYTE.IRQ_FLAG),
  0,
);

/** The place on the stack where a function saves whether interrupts were on, or takes it from. */
export function checkIrqFlag(env: Env, name: string, register: number): void {
  const kind = name.includes("spin_") ? "lockIrq" : "irq";
  if (name.includes("save")) saveIrq(env, register, kind);
  else restoreIrq(env, register, kind);
}

type IrqKind = "irq" | "lockIrq";
const IRQ_NAMES = { irq: "native", lockIrq: "lock" } as const;

function saveIrq(env: Env, register: number, kind: IrqKind): void {
  const reg = env.register(register);
  const before = objectPlace(env, reg, "irq_flag", 1);
  if (before === "misplaced" || (before !== "unused" && holdsFlag(before))) {
    reject(env, "EINVAL", `expected uninitialized irq flag as arg#${register - 1}`);
  }
  checkAccess(env, {
    address: register,
    off: 0,
    size: SLOT_BYTES,
    write: true,
    register: -1,
    strict: false,
    signed: false,
  });
  const { frame, slot } = objectPlace(env, reg, "irq_flag", 1) as ObjectPlace;
  const { state } = env;
  const id = env.newId();
  const reference: Reference = { kind, id, insnIndex: env.insnIndex };
  state.references = [...state.references, reference];
  state.irqId = id;
  const flag = pointerReg(REG.STACK);
  flag.refId = id;
  frame.setSlot(slot, { kinds: ALL_IRQ_FLAG, reg: flag });
  env.scratchSlot(frame, slot);
}

function holdsFlag({ frame, slot }: ObjectPlace): boolean {
  const { kinds } = frame.slot(slot);
  for (let byte = 0; byte < SLOT_BYTES; byte++) if (byteKind(kinds, byte) === BYTE.IRQ_FLAG) return true;
  return false;
}

/** In the reverse order of the saves. Kernel: release_irq_state() */
function restoreIrq(env: Env, register: number, kind: IrqKind): void {
  const place = objectPlace(env, env.register(register), "irq_flag", 1);
  if (place === "misplaced" || place === "unused" || place.frame.slot(place.slot).kinds !== ALL_IRQ_FLAG) {
    reject(env, "EINVAL", `expected an initialized irq flag as arg#${register - 1}`);
  }
  const { frame, slot } = place;
  const { state } = env;
  const { refId } = frame.slot(slot).reg;
  const saved = state.references.find((one) => one.id === refId && (one.kind === "irq" || one.kind === "lockIrq"));
  if (saved !== undefined && saved.kind !== kind) {
    const names = `${IRQ_NAMES[saved.kind as IrqKind]} kfuncs cannot be restored with ${IRQ_NAMES[kind]}`;
    reject(env, "EINVAL", `irq flag acquired by ${names} kfuncs`);
  }
  if (refId !== state.irqId) {
    const held = state.references.find(({ id }) => id === state.irqId);
    const expected = `expected id=${state.irqId} acquired at insn_idx=${held?.insnIndex ?? 0}`;
    reject(env, "EACCES", `cannot restore irq state out of order, ${expected}`);
  }
  state.references = state.references.filter((one) => one !== saved);
  state.irqId = state.references.findLast((one) => one.kind === "irq" || one.kind === "lockIrq")?.id ?? 0;
  env.stackLiveness.readRange(frame, -(slot + 1) * SLOT_BYTES, -slot * SLOT_BYTES);
  frame.setSlot(slot, EMPTY_SLOT);
  env.stackLiveness.written(frame, slot);
  env.scratchSlot(frame, slot);
}
