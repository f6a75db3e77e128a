/**
 * Writes one program: instructions with labels, subprograms behind it, and what the writer believes every register and
 * stack slot to hold. The belief makes programs nearly valid; it is not a verifier, and it is wrong on purpose now and then.
 */
import type { Insn } from "../../compiler/asm/index.ts";
import type { Program, ProgramFunction } from "../../compiler/program.ts";
import { ALU, CLASS, JMP, MODE, PSEUDO_CALL, PSEUDO_LD, SIZE, SRC } from "../../spec/isa.ts";
import type { ProgramTypeName } from "../../spec/program-types.ts";
import type { Random } from "../random/rng.ts";
import { MAPS } from "./maps.ts";

export type Belief =
  | { readonly is: "nothing" | "ctx" | "packetEnd" | "mapPointer" }
  /** `max`: no larger than this, unsigned; null: not known */
  | { readonly is: "scalar"; readonly max: number | null }
  | { readonly is: "mapValue"; readonly map: number; readonly orNull: boolean; readonly bytes: number }
  | { readonly is: "record"; readonly bytes: number; readonly orNull: boolean }
  | { readonly is: "stack"; readonly offset: number }
  | { readonly is: "packet"; readonly range: number };

export const NOTHING: Belief = { is: "nothing" };
export const SCALAR: Belief = { is: "scalar", max: null };
const STACK_BYTES = 512;

type Slots = Map<number, Belief>;
interface Beliefs {
  readonly registers: Belief[];
  /** by offset from the frame pointer, a multiple of 8 */
  readonly slots: Slots;
}

type Label = number;
interface Fixup {
  readonly at: number;
  readonly label: Label;
  readonly field: "off" | "imm";
}

/** A function that is written once the current one is done. */
interface Pending {
  readonly label: Label;
  readonly name: string;
  readonly linkage: "static" | "global";
  readonly write: () => void;
}

/** An offset that has more than 16 bits would be another one in the bytes that the kernel gets. */
export const asInt16 = (off: number): number => (off << 16) >> 16;

export class Writer {
  readonly random: Random;
  readonly type: ProgramTypeName;
  /** one decision in so many is wrong; 0: none */
  readonly mistakes: number;
  /** names of the statements written, for the coverage */
  readonly forms: string[] = [];
  registers: Belief[] = [];
  slots: Slots = new Map();
  /** bytes of stack that this function may use: eight frames share 512 */
  stackBytes = STACK_BYTES;
  loopDepth = 0;
  /** what must be done before the function is left: sections and iterators that are open */
  readonly open: (() => void)[] = [];
  callDepth = 0;
  /** the value an exit of this function must be within: r0 of a callback is 0 or 1 */
  result: "any" | "callback" = "any";
  readonly #insns: { opcode: number; dst: number; src: number; off: number; imm: number }[] = [];
  readonly #places = new Map<Label, number>();
  readonly #fixups: Fixup[] = [];
  readonly #pending: Pending[] = [];
  readonly #functions: ProgramFunction[] = [];
  #labels = 0;

  constructor(random: Random, type: ProgramTypeName, mistakes: number) {
    this.random = random;
    this.type = type;
    this.mistakes = mistakes;
  }

  get length(): number {
    return this.#insns.length;
  }
  /** True where this decision should be a wrong one. */
  errs(): boolean {
    return this.mistakes > 0 && this.random.oneIn(this.mistakes);
  }

  emit(opcode: number, dst: number, src = 0, off = 0, imm = 0): number {
    return this.#insns.push({ opcode, dst, src, off, imm: imm | 0 }) - 1;
  }
  label(): Label {
    return this.#labels++;
  }
  place(label: Label): void {
    this.#places.set(label, this.#insns.length);
  }
  #refer(at: number, label: Label, field: Fixup["field"]): void {
    this.#fixups.push({ at, label, field });
  }

  /** `if dst op src goto label`; `src` is a register where `opcode` says so, else `imm` counts. */
  jumpIf(opcode: number, dst: number, operand: { src?: number; imm?: number }, label: Label): void {
    const at = this.emit(opcode, dst, operand.src ?? 0, 0, operand.imm ?? 0);
    this.#refer(at, label, "off");
  }
  jump(label: Label): void {
    this.#refer(this.emit(CLASS.JMP | JMP.JA, 0), label, "off");
  }
  moveImm(dst: number, imm: number): void {
    this.emit(CLASS.ALU64 | ALU.MOV, dst, 0, 0, imm);
    this.registers[dst] = { is: "scalar", max: imm >= 0 ? imm : null };
  }
  move(dst: number, src: number): void {
    this.emit(CLASS.ALU64 | ALU.MOV | SRC.X, dst, src);
    this.registers[dst] = this.registers[src]!;
  }
  addImm(dst: number, imm: number): void {
    this.emit(CLASS.ALU64 | ALU.ADD, dst, 0, 0, imm);
  }
  wide(dst: number, src: number, low: number, high: number): void {
    this.emit(CLASS.LD | MODE.IMM | SIZE.DW, dst, src, 0, low);
    this.emit(0, 0, 0, 0, high);
  }
  mapPointer(dst: number, map: number): void {
    this.wide(dst, PSEUDO_LD.MAP_FD, map, 0);
    this.registers[dst] = { is: "mapPointer" };
  }
  mapValuePointer(dst: number, map: number, offset: number): void {
    this.wide(dst, PSEUDO_LD.MAP_VALUE, map, offset);
    this.registers[dst] = { is: "mapValue", map, orNull: false, bytes: MAPS[map]!.valueSize - offset };
  }
  stackPointer(dst: number, offset: number): void {
    this.move(dst, 10);
    this.addImm(dst, offset);
    this.registers[dst] = { is: "stack", offset };
  }

  /** Calls a helper with r1 … as set up. */
  helper(id: number, result: Belief): void {
    this.emit(CLASS.JMP | JMP.CALL, 0, PSEUDO_CALL.HELPER, 0, id);
    this.clobber(result);
  }
  clobber(result: Belief): void {
    for (let register = 1; register <= 5; register++) this.registers[register] = NOTHING;
    this.registers[0] = result;
  }
  /** A function to be written later; returns its label for call() and functionPointer(). */
  declare(linkage: "static" | "global", write: () => void): Label {
    const label = this.label();
    this.#pending.push({ label, name: `sub${this.#pending.length + this.#functions.length}`, linkage, write });
    return label;
  }
  call(label: Label): void {
    this.#refer(this.emit(CLASS.JMP | JMP.CALL, 0, PSEUDO_CALL.SUBPROG), label, "imm");
    this.clobber(SCALAR);
  }
  functionPointer(dst: number, label: Label): void {
    const at = this.length;
    this.wide(dst, PSEUDO_LD.FUNC, 0, 0);
    this.#refer(at, label, "imm");
    this.registers[dst] = NOTHING;
  }
  exit(): void {
    this.emit(CLASS.JMP | JMP.EXIT, 0);
  }

  snapshot(): Beliefs {
    return { registers: [...this.registers], slots: new Map(this.slots) };
  }
  restore(beliefs: Beliefs): void {
    this.registers = [...beliefs.registers];
    this.slots = new Map(beliefs.slots);
  }
  /** What holds on this path and on the other. */
  meet(other: Beliefs): void {
    this.registers = this.registers.map((belief, register) => common(belief, other.registers[register]!));
    for (const [offset, belief] of this.slots) {
      const there = other.slots.get(offset);
      if (there === undefined) this.slots.delete(offset);
      else this.slots.set(offset, common(belief, there));
    }
  }

  /** Registers believed to hold this. */
  holding(is: Belief["is"]): number[] {
    const found: number[] = [];
    this.registers.forEach((belief, register) => {
      if (belief.is === is && register !== 10) found.push(register);
    });
    return found;
  }
  begin(registers: Readonly<Record<number, Belief>>): void {
    this.registers = Array.from({ length: 11 }, (_, register) => registers[register] ?? NOTHING);
    this.registers[10] = { is: "stack", offset: 0 };
    this.slots = new Map();
  }

  /** Writes the functions that are still owed and puts everything together. */
  finish(license: string): Program {
    this.#functions.push({ insnIndex: 0, name: "main", linkage: "global" });
    while (this.#pending.length > 0) {
      const { label, name, linkage, write } = this.#pending.shift()!;
      this.place(label);
      this.#functions.push({ insnIndex: this.length, name, linkage });
      write();
    }
    for (const { at, label, field } of this.#fixups) {
      this.#insns[at]![field] = (this.#places.get(label) ?? this.length) - at - 1;
    }
    return {
      name: "random",
      section: "",
      type: this.type,
      attachType: null,
      attachTarget: null,
      autoload: true,
      sleepable: false,
      license,
      insns: this.#insns satisfies Insn[],
      functions: this.#functions,
      lines: [],
      maps: MAPS,
      memoryBytes: 0,
    };
  }
}

function common(a: Belief, b: Belief): Belief {
  if (a.is === "scalar" && b.is === "scalar") {
    return { is: "scalar", max: a.max === null || b.max === null ? null : Math.max(a.max, b.max) };
  }
  if (a.is === "packet" && b.is === "packet") return { is: "packet", range: Math.min(a.range, b.range) };
  return JSON.stringify(a) === JSON.stringify(b) ? a : NOTHING;
}
