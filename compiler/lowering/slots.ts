/**
 * Which bytes of a function's stack frame live in Wasm locals. A slot is the bytes that some loads and stores have in common
 * and no other access touches in part. It stays in memory where a helper writes it or reads it by address; a key that a
 * lookup takes by value (lookup.ts) does not count as read by address, and where the same slot is also read so, it is
 * written to memory just before that call.
 */
import { LOOKUP_BY_VALUE } from "../../spec/index.ts";
import { calleeOf } from "../../spec/kfuncs.ts";
import type { Program, ProgramFacts } from "../program.ts";
import type { Cfg } from "./cfg.ts";
import type { Expr, Wasm } from "./emit.ts";
import type { Frame, Temp } from "./frame.ts";
import { type FrameArgument, type FrameUse, frameUse } from "./frame-use.ts";
import { storageOf } from "./storage.ts";

export interface Slot {
  /** from the frame pointer */
  readonly offset: number;
  readonly bytes: number;
  /** number among the function's slots */
  readonly index: number;
  /** i64 of 8 bytes; i32 of fewer, the bits above them are 0 */
  readonly local: Temp;
}

export interface Slots {
  /** the slot that a load or store is of, null: it is one of memory */
  at(insnIndex: number): Slot | null;
  /** the slots that make up a key, in order; null: it lies in memory */
  keyAt(insnIndex: number): readonly Slot[] | null;
  /** slots that a call reads in memory */
  readBy(insnIndex: number): readonly Slot[];
  /** the function needs a frame in memory */
  readonly usesMemory: boolean;
}

export const NO_SLOTS: Slots = { at: () => null, keyAt: () => null, readBy: () => [], usesMemory: true };

export function planSlots(wasm: Wasm, frame: Frame, program: Program, cfg: Cfg, facts: ProgramFacts): Slots {
  const use = frameUse(program, cfg, facts);
  if (use === null) return NO_SLOTS;
  const plan = new Plan(program, facts, use);
  const slots = plan.pieces
    .filter((piece) => plan.isLocal(piece))
    .map(
      ({ offset, bytes }, index): Slot => ({
        offset,
        bytes,
        index,
        local: frame.local(bytes === 8 ? wasm.i64 : wasm.i32),
      }),
    );
  const atPlace = new Map(slots.map((slot) => [placeOf(slot), slot]));
  const byAccess = new Map<number, Slot>();
  for (const access of use.accesses) {
    const slot = atPlace.get(placeOf(access));
    if (slot !== undefined) byAccess.set(access.insnIndex, slot);
  }
  const keys = new Map<number, readonly Slot[]>();
  const reads = new Map<number, Slot[]>();
  for (const argument of use.args) {
    const covered = slots.filter((slot) => overlaps(slot, argument)).sort((a, b) => a.offset - b.offset);
    if (plan.isByValue(argument)) keys.set(argument.insnIndex, covered);
    else reads.set(argument.insnIndex, [...(reads.get(argument.insnIndex) ?? []), ...covered]);
  }
  return {
    at: (insnIndex) => byAccess.get(insnIndex) ?? null,
    keyAt: (insnIndex) => keys.get(insnIndex) ?? null,
    readBy: (insnIndex) => reads.get(insnIndex) ?? [],
    usesMemory: byAccess.size < use.accesses.length || keys.size < use.args.length,
  };
}

interface Place {
  readonly offset: number;
  readonly bytes: number;
}
/** What some accesses touch. */
interface Piece extends Place {
  /** accessed in part, atomically, or written by a helper */
  inMemory: boolean;
  readByAddress: boolean;
  readByValue: boolean;
}

const placeOf = ({ offset, bytes }: Place): string => `${offset} ${bytes}`;
const overlaps = (a: Place, b: Place): boolean => a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;

class Plan {
  readonly pieces: readonly Piece[];
  readonly #byValue = new Set<FrameArgument>();

  constructor(program: Program, facts: ProgramFacts, use: FrameUse) {
    this.pieces = piecesOf(use);
    for (const argument of use.args)
      if (argument.written) for (const piece of this.#in(argument)) piece.inMemory = true;
    for (const argument of use.args) {
      const isByValue = takesKeyByValue(program, facts, argument) && this.#isTiled(argument);
      if (isByValue) this.#byValue.add(argument);
      for (const piece of this.#in(argument)) {
        if (isByValue) piece.readByValue = true;
        else piece.readByAddress = true;
      }
    }
  }

  isByValue(argument: FrameArgument): boolean {
    return this.#byValue.has(argument);
  }

  /** What only helpers read gains nothing from a local: it would be stored all the same. */
  isLocal(piece: Piece): boolean {
    return !piece.inMemory && (!piece.readByAddress || piece.readByValue);
  }

  #in(place: Place): Piece[] {
    return this.pieces.filter((piece) => overlaps(piece, place));
  }

  /** Every word of 4 or 8 bytes is made of whole pieces. */
  #isTiled({ offset, bytes }: Place): boolean {
    const inside = this.#in({ offset, bytes });
    const word = Math.min(bytes, 8);
    const fits = inside.every((piece) => {
      const from = piece.offset - offset;
      return !piece.inMemory && from >= 0 && Math.floor(from / word) === Math.floor((from + piece.bytes - 1) / word);
    });
    return fits && inside.reduce((sum, piece) => sum + piece.bytes, 0) === bytes;
  }
}

function piecesOf(use: FrameUse): Piece[] {
  const pieces = new Map<string, Piece>();
  const owners = new Map<number, Piece>();
  for (const { offset, bytes, plain } of use.accesses) {
    const place = placeOf({ offset, bytes });
    const piece = pieces.get(place) ?? { offset, bytes, inMemory: false, readByAddress: false, readByValue: false };
    pieces.set(place, piece);
    if (!plain) piece.inMemory = true;
    for (let at = offset; at < offset + bytes; at++) {
      const owner = owners.get(at);
      owners.set(at, piece);
      if (owner === undefined || owner === piece) continue;
      owner.inMemory = true;
      piece.inMemory = true;
    }
  }
  return [...pieces.values()];
}

function takesKeyByValue(program: Program, facts: ProgramFacts, { insnIndex, kind, bytes }: FrameArgument): boolean {
  const map = facts.insns[insnIndex]?.map ?? null;
  if (kind !== "mapKey" || map === null) return false;
  if (calleeOf(program.insns[insnIndex]!)?.name !== "bpf_map_lookup_elem") return false;
  const storage = storageOf(program, map);
  return storage !== null && bytes in LOOKUP_BY_VALUE[storage];
}

export function loadSlot({ m }: Wasm, { bytes, local }: Slot, isSigned: boolean): Expr {
  const value = local.get();
  switch (bytes) {
    case 1:
      return isSigned ? m.i64.extend_s(m.i32.extend8_s(value)) : m.i64.extend_u(value);
    case 2:
      return isSigned ? m.i64.extend_s(m.i32.extend16_s(value)) : m.i64.extend_u(value);
    case 4:
      return isSigned ? m.i64.extend_s(value) : m.i64.extend_u(value);
  }
  return value;
}

/** `value`: an i64. */
export function storeSlot({ m }: Wasm, { bytes, local }: Slot, value: Expr): Expr {
  switch (bytes) {
    case 1:
      return local.set(m.i32.and(m.i32.wrap(value), m.i32.const(0xff)));
    case 2:
      return local.set(m.i32.and(m.i32.wrap(value), m.i32.const(0xffff)));
    case 4:
      return local.set(m.i32.wrap(value));
  }
  return local.set(value);
}

/** Writes the slots to their places in memory. */
export function spillSlots({ m }: Wasm, frame: Frame, slots: readonly Slot[]): Expr[] {
  return slots.map(({ offset, bytes, local }) => {
    const at = frame.stackBytes + offset;
    switch (bytes) {
      case 1:
        return m.i32.store8(at, 1, frame.base(), local.get());
      case 2:
        return m.i32.store16(at, 1, frame.base(), local.get());
      case 4:
        return m.i32.store(at, 1, frame.base(), local.get());
    }
    return m.i64.store(at, 1, frame.base(), local.get());
  });
}
