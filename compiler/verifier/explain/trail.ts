/**
 * Where a value came from: follows a register or stack slot back along the path that failed, through moves, spills, fills
 * and calls, and says at each instruction that mattered what it did. A value is followed as a whole: of an addition of
 * pointer and number the pointer, else the left operand.
 */
import { ALU, ATOMIC, CLASS, JMP, MODE, PSEUDO_CALL, SIZE_BYTES, SRC } from "../../../spec/isa.ts";
import type { Insn } from "../../asm/instruction.ts";
import { baseType, REG, type RegState } from "../register.ts";
import { constantOf, sameScalar } from "../scalar.ts";
import { isSpilled, slotIndexOf } from "../state.ts";
import type { FrameView, Visit } from "./path.ts";

/** A register of a frame, or the stack slot with this index. */
export type Place =
  | { readonly frame: number; readonly register: number }
  | { readonly frame: number; readonly slot: number };

export type EventKind =
  /** made anew: a constant, a load, a call's result, a function's argument, nothing at all */
  | "constant"
  | "loaded"
  | "result"
  | "argument"
  | "clobbered"
  | "unset"
  /** changed by arithmetic, by a comparison, by a call that took its meaning */
  | "computed"
  | "compared"
  | "voided"
  /** copied from elsewhere */
  | "copied";

export interface TrailEvent {
  readonly kind: EventKind;
  /** index into the path: the instruction that did it; -1: before the path began */
  readonly at: number;
  /** where the value is before the instruction; null: it came from nowhere */
  readonly from: Place | null;
  readonly before: RegState | null;
  readonly after: RegState;
}

const ORIGINS: ReadonlySet<EventKind> = new Set(["constant", "loaded", "result", "argument", "clobbered", "unset"]);
export const isOrigin = (event: TrailEvent): boolean => ORIGINS.has(event.kind);

/** Enough for any chain that is told; a loop that changes the value each round would give one event a round. */
const MOST_EVENTS = 512;

/** The register that stands at a place in a visit; null where nothing does. */
export function valueAt(visit: Visit, place: Place): RegState | null {
  const frame = visit.frames[place.frame];
  if (frame === undefined) return null;
  if ("register" in place) return frame.registers[place.register] ?? null;
  const slot = frame.stack[place.slot];
  return slot !== undefined && isSpilled(slot) ? slot.reg : null;
}

/** What became of the value at `place` as it is before visit `end`: newest first, down to where it was made. */
export function trailOf(insns: readonly Insn[], path: readonly Visit[], end: number, place: Place): TrailEvent[] {
  const events: TrailEvent[] = [];
  let where = place;
  for (let at = end - 1; at >= 0 && events.length < MOST_EVENTS; at--) {
    const event = effectOn(insns, path[at]!, path[at + 1]!, at, where);
    if (event === null) continue;
    events.push(event);
    if (event.from === null) return events;
    where = event.from;
  }
  const after = valueAt(path[0]!, where);
  if (events.length < MOST_EVENTS && after !== null) {
    events.push({ kind: after.type === REG.NOT_INIT ? "unset" : "argument", at: -1, from: null, before: null, after });
  }
  return events;
}

/** What the instruction of `visit` did to the value that is at `place` behind it; null: nothing. */
function effectOn(insns: readonly Insn[], visit: Visit, next: Visit, at: number, place: Place): TrailEvent | null {
  const after = valueAt(next, place);
  if (after === null) return null;
  const moved = acrossFrames(visit, next, at, place, after);
  if (moved !== undefined) return moved;
  const insn = insns[visit.insnIndex]!;
  const isTop = place.frame === visit.frames.length - 1;
  const defined =
    "register" in place
      ? isTop
        ? definesRegister(visit, insn, at, place, after)
        : undefined
      : definesSlot(visit, insn, at, place, after);
  if (defined !== undefined) return defined;
  const before = valueAt(visit, place);
  if (before === null || isSameValue(before, after)) return null;
  return { kind: isCallInsn(insn) ? "voided" : "compared", at, from: place, before, after };
}

/** Calls and returns: arguments come from the caller's registers, results from the callee's r0. */
function acrossFrames(
  visit: Visit,
  next: Visit,
  at: number,
  place: Place,
  after: RegState,
): TrailEvent | null | undefined {
  const depth = visit.frames.length;
  if (place.frame >= depth) {
    const callee = next.frames[place.frame]!;
    const isArgument = "register" in place && place.register >= 1 && place.register <= 5;
    if (!isArgument || after.type === REG.NOT_INIT) return { kind: "unset", at, from: null, before: null, after };
    if (callee.inCallback) return { kind: "argument", at, from: null, before: null, after };
    const from = { frame: place.frame - 1, register: place.register };
    return { kind: "copied", at, from, before: valueAt(visit, from), after };
  }
  const returned = next.frames.length < depth && place.frame === depth - 2;
  if (returned && "register" in place && place.register === 0 && !visit.frames.at(-1)!.inCallback) {
    const from = { frame: depth - 1, register: 0 };
    return { kind: "copied", at, from, before: valueAt(visit, from), after };
  }
  return undefined;
}

const isCallInsn = (insn: Insn): boolean => insn.opcode === (CLASS.JMP | JMP.CALL);
const isSubprogram = (insn: Insn): boolean => isCallInsn(insn) && insn.src === PSEUDO_CALL.SUBPROG;

/** `undefined`: it does not write the register. */
function definesRegister(
  visit: Visit,
  insn: Insn,
  at: number,
  place: Place & { readonly register: number },
  after: RegState,
): TrailEvent | undefined {
  const { register, frame } = place;
  const here = (number: number): Place => ({ frame, register: number });
  const made = (kind: EventKind): TrailEvent => ({ kind, at, from: null, before: null, after });
  const copied = (from: Place): TrailEvent => ({ kind: "copied", at, from, before: valueAt(visit, from), after });
  switch (insn.opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64: {
      if (register !== insn.dst) return undefined;
      if ((insn.opcode & 0xf0) === ALU.MOV) return insn.opcode & SRC.X ? copied(here(insn.src)) : made("constant");
      const from = here(followedOperand(visit.frames[frame]!, insn));
      return { kind: "computed", at, from, before: valueAt(visit, from), after };
    }
    case CLASS.LDX: {
      if (register !== insn.dst) return undefined;
      const slot = slotAddressed(visit, insn.src, insn.off, SIZE_BYTES[insn.opcode & 0x18]!);
      return slot !== null && valueAt(visit, slot) !== null ? copied(slot) : made("loaded");
    }
    case CLASS.LD:
      if ((insn.opcode & 0xe0) === MODE.IMM) return register === insn.dst ? made("constant") : undefined;
      if (register === 0) return made("loaded");
      return register <= 5 ? made("clobbered") : undefined;
    case CLASS.STX:
      return (insn.opcode & 0xe0) === MODE.ATOMIC && register === fetchedTo(insn) ? made("loaded") : undefined;
    case CLASS.JMP:
      if (!isCallInsn(insn) || register > 5) return undefined;
      if (register > 0) return made("clobbered");
      return isSubprogram(insn) && after.type === REG.NOT_INIT ? made("clobbered") : made("result");
    default:
      return undefined;
  }
}

/** Register that an atomic operation loads into; -1: none. */
function fetchedTo(insn: Insn): number {
  if (insn.imm === ATOMIC.CMPXCHG) return 0;
  if (insn.imm === ATOMIC.LOAD_ACQ) return insn.dst;
  return insn.imm & ATOMIC.FETCH ? insn.src : -1;
}

/** Of `dst op src` the pointer; of two numbers the left one, unless only the right one is unknown. */
function followedOperand(frame: FrameView, insn: Insn): number {
  if (!(insn.opcode & SRC.X)) return insn.dst;
  const left = frame.registers[insn.dst]!;
  const right = frame.registers[insn.src]!;
  if (left.type === REG.SCALAR && right.type !== REG.SCALAR) return insn.src;
  const onlyRight = left.type === REG.SCALAR && constantOf(left.value) !== null && constantOf(right.value) === null;
  return onlyRight ? insn.src : insn.dst;
}

/** The slot at whose start an access through `register` lies; null where it is no such access. */
function slotAddressed(visit: Visit, register: number, off: number, size: number): Place | null {
  const address = visit.frames.at(-1)!.registers[register];
  if (address === undefined || address.type !== REG.STACK) return null;
  const variable = constantOf(address.value);
  if (variable === null) return null;
  const start = address.off + Number(BigInt.asIntN(64, variable)) + off;
  return start < 0 && start % 8 === 0 && size <= 8 ? { frame: address.frame, slot: slotIndexOf(start) } : null;
}

function definesSlot(
  visit: Visit,
  insn: Insn,
  at: number,
  place: Place & { readonly slot: number },
  after: RegState,
): TrailEvent | undefined {
  const kind = insn.opcode & 7;
  if (kind !== CLASS.ST && kind !== CLASS.STX) return undefined;
  const written = slotAddressed(visit, insn.dst, insn.off, SIZE_BYTES[insn.opcode & 0x18]!);
  if (written === null || written.frame !== place.frame || !("slot" in written) || written.slot !== place.slot) {
    return undefined;
  }
  if (kind === CLASS.ST) return { kind: "constant", at, from: null, before: null, after };
  const from = { frame: visit.frames.length - 1, register: insn.src };
  return { kind: "copied", at, from, before: valueAt(visit, from), after };
}

/** Ids, links and precision do not count: they say nothing of the value itself. */
function isSameValue(a: RegState, b: RegState): boolean {
  return (
    a === b ||
    (a.type === b.type &&
      a.off === b.off &&
      a.range === b.range &&
      a.memSize === b.memSize &&
      baseType(a.type) === baseType(b.type) &&
      sameScalar(a.value, b.value))
  );
}
