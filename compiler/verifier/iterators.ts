/**
 * Open-coded iterators: objects on the stack that are made, stepped and ended by functions of the kernel. A step forks: the
 * current path sees the end, another one sees one more element; rounds converge since what did not matter is forgotten.
 * Kernel: process_iter_arg(), process_iter_next_call(), mark_stack_slots_iter().
 */

import { isInRcuSection } from "./btf-match.ts";
import { previousEntry } from "./checkpoint.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { ITERATOR_PREFIX, iteratorName } from "./iterator-state.ts";
import { hasFlag, type KernelFunction } from "./kernel-function.ts";
import { checkAccess } from "./memory.ts";
import { pushPath } from "./paths.ts";
import { acquireReference, releaseReference } from "./references.ts";
import { edit, FLAG, type IteratorInfo, pointerReg, REG, type RegState, ZERO } from "./register.ts";
import { type ObjectPlace, objectPlace } from "./stack-object.ts";
import { BYTE, byteKind, EMPTY_SLOT, SLOT_BYTES, type State, withByteKind } from "./state.ts";
import { widenImprecise } from "./widen.ts";

/** An iterator that exists, by frame and slot of a state. */
export interface IteratorPlace {
  readonly frame: number;
  readonly slot: number;
  readonly referenceId: number;
}

/** The register that stands for the iterator as a whole. */
export const iteratorOf = (state: State, place: IteratorPlace): RegState =>
  state.frames[place.frame]!.slot(place.slot).reg;

/** Makes, checks or ends the iterator that parameter `index` takes; null where it was made just now. */
export function checkIteratorArgument(env: Env, target: KernelFunction, index: number): IteratorPlace | null {
  const register = index + 1;
  const reg = env.register(register);
  if (target.name === "bpf_iter_css_task_new" && !mayWalkTasks(env)) {
    reject(env, "EINVAL", "css_task_iter is only allowed in bpf_lsm, bpf_iter and sleepable progs");
  }
  if (reg.type !== REG.STACK) reject(env, "EINVAL", `arg#${index} expected pointer to an iterator on stack`);
  const { btf } = target;
  const pointer = btf.resolve(target.parameters[index]!.type);
  const btfType = btf.skipModifiers(pointer.kind === "ptr" ? pointer.type : 0);
  const slots = (btf.sizeOf(btfType) ?? 0) / SLOT_BYTES;
  if (slots < 1 || !btf.nameOf(btfType).startsWith(ITERATOR_PREFIX)) {
    reject(env, "EINVAL", `expected valid iter pointer as arg #${index}`);
  }
  const fresh: IteratorInfo = { btf, btfType, state: "active", depth: 0 };
  if (hasFlag(target, "iterNew")) {
    makeIterator(env, target, register, fresh, slots);
    return null;
  }
  const place = requireIterator(env, target, index, fresh, slots);
  const { frame, slot } = place;
  env.stackLiveness.readRange(frame, -(slot + 1) * SLOT_BYTES, -(slot + 1 - slots) * SLOT_BYTES);
  for (let i = 0; i < slots; i++) env.scratchSlot(frame, slot - i);
  const referenceId = frame.slot(slot).reg.refId;
  if (hasFlag(target, "iterDestroy")) endIterator(env, place, slots);
  return { frame: frame.index, slot, referenceId };
}

/** Kernel: check_css_task_iter_allowlist(). */
const mayWalkTasks = ({ program, attachType }: Env): boolean =>
  program.type === "lsm" || program.sleepable || (program.type === "tracing" && attachType === "trace_iter");

function makeIterator(env: Env, target: KernelFunction, register: number, info: IteratorInfo, slots: number): void {
  const reg = env.register(register);
  const before = objectPlace(env, reg, "iter", slots);
  if (before === "misplaced" || (before !== "unused" && holdsIterator(before, slots))) {
    reject(env, "EINVAL", `expected uninitialized iter_${iteratorName(info)} as arg #${register - 1}`);
  }
  for (let i = 0; i < slots; i++) {
    checkAccess(env, {
      address: register,
      off: i * SLOT_BYTES,
      size: SLOT_BYTES,
      write: true,
      register: -1,
      strict: false,
      signed: false,
    });
  }
  const place = objectPlace(env, reg, "iter", slots) as ObjectPlace;
  const reference = acquireReference(env);
  let trust = 0;
  if (hasFlag(target, "rcuProtected")) trust = isInRcuSection(env) ? FLAG.RCU : FLAG.UNTRUSTED;
  for (let i = 0; i < slots; i++) {
    const part = pointerReg(REG.STACK | trust);
    if (i === 0) part.refId = reference;
    part.iterator = info;
    place.frame.setSlot(place.slot - i, { kinds: ALL_ITERATOR, reg: part });
    env.scratchSlot(place.frame, place.slot - i);
  }
}

const ALL_ITERATOR = Array.from({ length: SLOT_BYTES }, (_, byte) => byte).reduce(
  (kinds, byte) => withByteKind(kinds, byte, BYTE.ITERATOR),
  0,
);

function holdsIterator({ frame, slot }: ObjectPlace, slots: number): boolean {
  for (let i = 0; i < slots; i++) {
    const { kinds } = frame.slot(slot - i);
    for (let byte = 0; byte < SLOT_BYTES; byte++) if (byteKind(kinds, byte) === BYTE.ITERATOR) return true;
  }
  return false;
}

/** Kernel: is_iter_reg_valid_init(). */
function requireIterator(
  env: Env,
  target: KernelFunction,
  index: number,
  wanted: IteratorInfo,
  slots: number,
): ObjectPlace {
  const place = objectPlace(env, env.register(index + 1), "iter", slots);
  const missing = (): never =>
    reject(env, "EINVAL", `expected an initialized iter_${iteratorName(wanted)} as arg #${index}`);
  if (place === "misplaced" || place === "unused") return missing();
  for (let i = 0; i < slots; i++) {
    const { kinds, reg } = place.frame.slot(place.slot - i);
    if (kinds === ALL_ITERATOR && reg.type & FLAG.UNTRUSTED) {
      reject(env, "EPROTO", `expected an RCU CS when using ${target.name}`);
    }
    const isSame = reg.iterator?.btf === wanted.btf && reg.iterator.btfType === wanted.btfType;
    if (kinds !== ALL_ITERATOR || !isSame || (reg.refId !== 0) !== (i === 0)) return missing();
  }
  return place;
}

function endIterator(env: Env, { frame, slot }: ObjectPlace, slots: number): void {
  releaseReference(env, frame.slot(slot).reg.refId);
  for (let i = 0; i < slots; i++) {
    frame.setSlot(slot - i, EMPTY_SLOT);
    env.stackLiveness.written(frame, slot - i);
  }
}

/** After a step, r0 being an element or null. */
export function stepIterator(env: Env, place: IteratorPlace): void {
  const { state } = env;
  const { iterator } = iteratorOf(state, place);
  if (iterator!.state === "active") {
    const slot = env.insnIndex;
    const previous = state.parent ? previousEntry(env, state.parent, slot) : null;
    const another = pushPath(env, slot + 1, slot);
    setIterator(another, place, { ...iterator!, depth: iterator!.depth + 1 });
    if (previous) widenImprecise(env, previous, another);
    const element = edit(another.registers[0]!);
    element.type &= ~FLAG.MAYBE_NULL;
    another.registers[0] = element;
  }
  setIterator(state, place, { ...iterator!, state: "drained" });
  env.scratchSlot(state.frames[place.frame]!, place.slot);
  env.setRegister(0, ZERO);
}

function setIterator(state: State, { frame, slot }: IteratorPlace, iterator: IteratorInfo): void {
  const { kinds, reg } = state.frames[frame]!.slot(slot);
  const changed = edit(reg);
  changed.iterator = iterator;
  state.frames[frame]!.setSlot(slot, { kinds, reg: changed });
}
