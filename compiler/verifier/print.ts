/** Register and stack states as the kernel prints them. Kernel: print_verifier_state(), in kernel/bpf/log.c. */
import type { Env } from "./env.ts";
import { iteratorName } from "./iterator-state.ts";
import { baseType, isMapType, isPacketPointer, LINK, REG, type RegState, typeName } from "./register.ts";
import { constantOf } from "./scalar.ts";
import { rangeTexts, signedText, unsignedText } from "./scalar-text.ts";
import {
  BYTE,
  byteKind,
  EMPTY_SLOT,
  type Frame,
  holdsObject,
  isSpilled,
  SLOT_BYTES,
  type StackSlot,
  type State,
} from "./state.ts";

/** All registers and slots of a frame, each with a space before it. */
export function stateText(state: State, frame: Frame): string {
  return frameText(
    state,
    frame,
    () => true,
    () => true,
  );
}

/** The registers and slots written since this was called last; the whole frame after a jump to another path. */
export function scratchedText(env: Env): string {
  const all = env.allScratched;
  const { scratchedRegisters: registers, scratchedSlots: slots } = env;
  const text = frameText(
    env.state,
    env.state.frame,
    (r) => all || (registers & (1 << r)) !== 0,
    (s) => all || slots.has(s),
  );
  forgetScratched(env);
  return text;
}
export function forgetScratched(env: Env): void {
  env.scratchedRegisters = 0;
  env.scratchedSlots.clear();
  env.allScratched = false;
}
export const hasScratched = (env: Env): boolean =>
  env.allScratched || env.scratchedRegisters !== 0 || env.scratchedSlots.size > 0;

function frameText(
  state: State,
  frame: Frame,
  wantsRegister: (r: number) => boolean,
  wantsSlot: (s: number) => boolean,
): string {
  let text = frame.index > 0 ? ` frame${frame.index}:` : "";
  for (const [r, reg] of frame.registers.entries()) {
    if (reg.type !== REG.NOT_INIT && wantsRegister(r)) text += ` R${r}=${registerText(frame, reg)}`;
  }
  for (const [s, slot] of frame.stack.entries()) {
    if (slot !== EMPTY_SLOT && slot.kinds !== 0 && wantsSlot(s) && !isUpperPart(slot))
      text += ` fp${-(s + 1) * 8}=${slotText(frame, slot)}`;
  }
  if (state.references.length > 0) text += ` refs=${state.references.map((reference) => reference.id).join(",")}`;
  if (frame.inCallback) text += " cb";
  if (frame.isDeferred) text += " async_cb";
  return text;
}

const BYTE_LETTERS: Readonly<Record<number, string>> = {
  [BYTE.INVALID]: "?",
  [BYTE.SPILL]: "r",
  [BYTE.MISC]: "m",
  [BYTE.ZERO]: "0",
  [BYTE.DYNPTR]: "d",
  [BYTE.ITERATOR]: "i",
  [BYTE.IRQ_FLAG]: "f",
};

function slotText(frame: Frame, slot: StackSlot): string {
  let letters = "";
  for (let byte = 0; byte < SLOT_BYTES; byte++) letters += BYTE_LETTERS[byteKind(slot.kinds, byte)];
  if (byteKind(slot.kinds, 0) === BYTE.ITERATOR) return iteratorText(slot.reg);
  if (slot.reg.dynptr && holdsObject(slot)) return dynptrText(slot.reg);
  if (!isSpilled(slot)) return letters;
  return letters.slice(0, letters.indexOf("r")) + registerText(frame, slot.reg);
}

/** An object is shown once, at its lowest slot. */
const isUpperPart = (slot: StackSlot): boolean =>
  slot.reg.dynptr?.first === false || (byteKind(slot.kinds, 0) === BYTE.ITERATOR && slot.reg.refId === 0);

/** The kernel has no id there, but shows what lies in its place. */
function dynptrText({ dynptr, id, refId }: RegState): string {
  return `dynptr_${dynptr!.kind}(id=${id}${refId === 0 ? "" : `,ref_id=${refId}`},dynptr_id=1)`;
}

function iteratorText({ iterator, refId }: RegState): string {
  return `iter_${iteratorName(iterator!)}(ref_id=${refId},state=${iterator!.state},depth=${iterator!.depth})`;
}

export function registerText(frame: Frame, reg: RegState): string {
  const constant = constantOf(reg.value);
  const precise = reg.type === REG.SCALAR && reg.precise ? "P" : "";
  if (reg.type === REG.SCALAR && constant !== null) return precise + signedText(constant);
  let text = precise + typeName(reg.type);
  if (reg.type === REG.ARENA) return text;
  if (baseType(reg.type) === REG.BTF) text += reg.btf!.nameOf(reg.btfType);
  if (reg.type === REG.STACK) {
    if (frame.index !== reg.frame) text += `[${reg.frame}]`;
    if (constant !== null) return text + signedText(BigInt.asUintN(64, constant + BigInt(reg.off)));
  }
  return `${text}(${detailTexts(reg, constant).join(",")})`;
}

function detailTexts(reg: RegState, constant: bigint | null): string[] {
  const details: string[] = [];
  if (reg.id !== 0) details.push(`id=${reg.id}${reg.link === LINK.EQUAL ? "" : signedDelta(reg.delta)}`);
  if (reg.refId !== 0) details.push(`ref_obj_id=${reg.refId}`);
  if (isMapType(reg.type)) {
    if (reg.map!.name) details.push(`map=${reg.map!.name.slice(0, 15)}`);
    details.push(`ks=${reg.map!.keySize}`, `vs=${reg.map!.valueSize}`);
  }
  if (reg.type !== REG.SCALAR && reg.off !== 0) details.push(`off=${signedText(BigInt.asUintN(64, BigInt(reg.off)))}`);
  if (isPacketPointer(reg.type)) details.push(`r=${unsignedText(BigInt.asUintN(64, BigInt(reg.range)))}`);
  if (reg.type === REG.DYNPTR) details.push(`type=${reg.dynptr!.kind}`);
  if (baseType(reg.type) === REG.MEM) details.push(`sz=${unsignedText(BigInt(reg.memSize))}`);
  if (constant === null) {
    details.push(...rangeTexts(reg.value));
  } else if (constant !== 0n) {
    details.push(`imm=${signedText(constant)}`);
  }
  return details;
}
const signedDelta = (delta: number): string => (delta < 0 ? String(delta) : `+${delta}`);
