/**
 * Which instructions of a program some path can reach, as far as constants tell: what CO-RE wrote, the configuration and
 * read-only data decide branches, so what is behind bpf_core_field_exists() is not reached where the field is missing.
 * No verification: a path counts as possible unless a constant excludes it, and what is wrong on it is not looked at.
 */
import { ALU, CLASS, FRAME_POINTER, JMP, MODE, PSEUDO_CALL, PSEUDO_LD, REGISTERS, SIZE_BYTES } from "../../spec/isa.ts";
import { type Insn, insnClass, isWideImmediate, wideImmediate } from "../asm/instruction.ts";
import type { Program } from "../program.ts";
import { foldAlu, foldJump, operandOf } from "./constants.ts";
import { isPoison } from "./core/patch.ts";

/** A number, a place in the value of a map, a place in the frame; null: not known. */
type Known =
  | { readonly is: "number"; readonly value: bigint }
  | { readonly is: "map"; readonly map: number; readonly offset: number }
  | { readonly is: "frame"; readonly offset: number }
  | null;

interface State {
  readonly registers: Known[];
  /** 8-byte slots, by their offset from the frame pointer */
  readonly slots: Map<number, Known>;
  /** the frame's address was stored: whoever is called may write to it */
  isShared: boolean;
}

/** By slot: 1 where some path comes by. Poisoned instructions end their path. */
export function reachedInsns(program: Program): Uint8Array {
  return new Reach(program).run();
}

class Reach {
  readonly #program: Program;
  readonly #reached: Uint8Array;
  /** at the targets of jumps: what holds on every path seen so far */
  readonly #known = new Map<number, State>();
  readonly #open: number[] = [];
  readonly #targets: Set<number>;

  constructor(program: Program) {
    this.#program = program;
    this.#reached = new Uint8Array(program.insns.length);
    this.#targets = jumpTargets(program.insns);
  }

  run(): Uint8Array {
    this.#enter(0, freshState());
    for (let start = this.#open.pop(); start !== undefined; start = this.#open.pop())
      this.#walk(start, copyOf(this.#known.get(start)!));
    return this.#reached;
  }

  /** Notes that a path comes to `at`, and walks on from there if it brings anything new. */
  #enter(at: number, state: State): void {
    if (at < 0 || at >= this.#program.insns.length) return;
    const before = this.#known.get(at);
    if (before === undefined) this.#known.set(at, copyOf(state));
    else if (!weaken(before, state)) return;
    this.#open.push(at);
  }

  #walk(start: number, state: State): void {
    const { insns } = this.#program;
    for (let at = start; at < insns.length; ) {
      if (at !== start && this.#targets.has(at)) {
        this.#enter(at, state);
        return;
      }
      const insn = insns[at]!;
      this.#reached[at] = 1;
      switch (insnClass(insn)) {
        case CLASS.JMP:
        case CLASS.JMP32: {
          const next = this.#jump(insn, at, state);
          if (next === null) return;
          at = next;
          continue;
        }
        case CLASS.ALU:
        case CLASS.ALU64:
          alu(insn, state);
          break;
        case CLASS.LDX:
          state.registers[insn.dst] = this.#load(insn, state);
          break;
        case CLASS.ST:
        case CLASS.STX:
          store(insn, state);
          break;
        case CLASS.LD:
          if (isWideImmediate(insn) && at + 1 < insns.length) {
            this.#reached[at + 1] = 1;
            state.registers[insn.dst] = this.#immediate(insn, at);
            at++;
          } else for (let register = 0; register <= 5; register++) state.registers[register] = null;
      }
      at++;
    }
  }

  /** Where to go on, null where the path ends or has gone to jump targets. */
  #jump(insn: Insn, at: number, state: State): number | null {
    const operation = insn.opcode & 0xf0;
    // A call of what the target lacks ends the path, as the verifier does.
    if (operation === JMP.EXIT || isPoison(insn) || this.#program.missing?.has(at)) return null;
    if (operation === JMP.CALL) {
      if (insn.src === PSEUDO_CALL.SUBPROG) this.#enter(at + 1 + insn.imm, freshState());
      call(state);
      return at + 1;
    }
    if (operation === JMP.JA) {
      this.#enter(at + 1 + (insnClass(insn) === CLASS.JMP32 ? insn.imm : insn.off), state);
      return null;
    }
    const left = state.registers[insn.dst] ?? null;
    const right = operandIn(insn, state);
    const taken = left?.is === "number" && right?.is === "number" ? foldJump(insn, left.value, right.value) : null;
    if (taken !== false) this.#enter(at + 1 + insn.off, state);
    return taken === true ? null : at + 1;
  }

  #immediate(insn: Insn, at: number): Known {
    const { insns } = this.#program;
    switch (insn.src) {
      case PSEUDO_LD.NONE:
        return { is: "number", value: wideImmediate(insns, at) };
      case PSEUDO_LD.MAP_VALUE:
        return { is: "map", map: insn.imm, offset: insns[at + 1]!.imm };
      case PSEUDO_LD.FUNC:
        this.#enter(at + 1 + insn.imm, freshState());
        return null;
      default:
        return null;
    }
  }

  #load(insn: Insn, state: State): Known {
    if ((insn.opcode & 0xe0) !== MODE.MEM) return null;
    const place = state.registers[insn.src] ?? null;
    const size = SIZE_BYTES[insn.opcode & 0x18]!;
    if (place?.is === "frame") return size === 8 ? (state.slots.get(place.offset + insn.off) ?? null) : null;
    if (place?.is !== "map") return null;
    const map = this.#program.maps[place.map];
    const at = place.offset + insn.off;
    if (!map?.frozen || map.initial === null || at < 0 || at + size > map.initial.length) return null;
    let value = 0n;
    for (let byte = size - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(map.initial[at + byte]!);
    return { is: "number", value };
  }
}

const freshState = (): State => ({
  registers: Array.from({ length: REGISTERS + 5 }, (_, index) =>
    index === FRAME_POINTER ? { is: "frame", offset: 0 } : null,
  ),
  slots: new Map(),
  isShared: false,
});

const copyOf = (state: State): State => ({
  registers: [...state.registers],
  slots: new Map(state.slots),
  isShared: state.isShared,
});

/** Forgets in `known` what does not hold in `other`; false where nothing changed. */
function weaken(known: State, other: State): boolean {
  let changed = false;
  for (const [index, value] of known.registers.entries()) {
    if (value === null || isSame(value, other.registers[index] ?? null)) continue;
    known.registers[index] = null;
    changed = true;
  }
  for (const [offset, value] of known.slots) {
    if (isSame(value, other.slots.get(offset) ?? null)) continue;
    known.slots.delete(offset);
    changed = true;
  }
  if (other.isShared && !known.isShared) {
    known.isShared = true;
    changed = true;
  }
  return changed;
}

function isSame(a: Known, b: Known): boolean {
  if (a === b) return true;
  if (a === null || b === null || a.is !== b.is) return false;
  if (a.is === "number") return b.is === "number" && a.value === b.value;
  if (a.is === "map") return b.is === "map" && a.map === b.map && a.offset === b.offset;
  return b.is === "frame" && a.offset === b.offset;
}

function operandIn(insn: Insn, state: State): Known {
  if ((insn.opcode & 8) === 0) return { is: "number", value: operandOf(insn.imm) };
  return state.registers[insn.src] ?? null;
}

function alu(insn: Insn, state: State): void {
  const operation = insn.opcode & 0xf0;
  const operand = operation === ALU.NEG ? { is: "number" as const, value: 0n } : operandIn(insn, state);
  const before = state.registers[insn.dst] ?? null;
  state.registers[insn.dst] = aluResult(insn, operation, before, operand);
}

function aluResult(insn: Insn, operation: number, before: Known, operand: Known): Known {
  if (operation === ALU.MOV && insn.off === 0 && insnClass(insn) === CLASS.ALU64) return operand;
  if (operand?.is !== "number") return null;
  if (before !== null && before.is !== "number") {
    if (operation !== ALU.ADD || insnClass(insn) !== CLASS.ALU64) return null;
    return { ...before, offset: before.offset + Number(BigInt.asIntN(32, operand.value)) };
  }
  if (before === null && operation !== ALU.MOV) return null;
  const value = foldAlu(insn, before?.value ?? 0n, operand.value);
  return value === null ? null : { is: "number", value };
}

function store(insn: Insn, state: State): void {
  const place = state.registers[insn.dst] ?? null;
  const isStx = insnClass(insn) === CLASS.STX;
  const isPlain = (insn.opcode & 0xe0) === MODE.MEM;
  if (isStx && state.registers[insn.src]?.is === "frame") state.isShared = true;
  // cmpxchg and fetching operations give the old value to a register.
  if (!isPlain) {
    state.registers[insn.src] = null;
    state.registers[0] = null;
  }
  if (place?.is !== "frame") {
    // A pointer that is not known may lead to the frame only where its address got out.
    if (place === null && state.isShared) state.slots.clear();
    return;
  }
  const size = SIZE_BYTES[insn.opcode & 0x18]!;
  const offset = place.offset + insn.off;
  for (const slot of [...state.slots.keys()]) if (slot < offset + size && offset < slot + 8) state.slots.delete(slot);
  if (!isPlain || size !== 8) return;
  const value: Known = isStx ? (state.registers[insn.src] ?? null) : { is: "number", value: operandOf(insn.imm) };
  if (value !== null) state.slots.set(offset, value);
}

/** A callee may write upwards from every place in the frame that it is given. */
function call(state: State): void {
  if (state.isShared) state.slots.clear();
  for (let register = 1; register <= 5; register++) {
    const argument = state.registers[register];
    if (argument?.is !== "frame") continue;
    for (const slot of [...state.slots.keys()]) if (slot + 8 > argument.offset) state.slots.delete(slot);
  }
  for (let register = 0; register <= 5; register++) state.registers[register] = null;
}

/** Slots that something other than the instruction before leads to. */
function jumpTargets(insns: readonly Insn[]): Set<number> {
  const targets = new Set<number>();
  for (let at = 0; at < insns.length; at++) {
    const insn = insns[at]!;
    const kind = insnClass(insn);
    if (isWideImmediate(insn)) {
      if (insn.src === PSEUDO_LD.FUNC) targets.add(at + 1 + insn.imm);
      at++;
      continue;
    }
    if (kind !== CLASS.JMP && kind !== CLASS.JMP32) continue;
    const operation = insn.opcode & 0xf0;
    if (operation === JMP.EXIT) continue;
    if (operation === JMP.CALL) {
      if (insn.src === PSEUDO_CALL.SUBPROG) targets.add(at + 1 + insn.imm);
    } else targets.add(at + 1 + (operation === JMP.JA && kind === CLASS.JMP32 ? insn.imm : insn.off));
  }
  return targets;
}
