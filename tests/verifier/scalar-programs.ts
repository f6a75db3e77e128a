/**
 * Random straight programs that build ranges, with what compiler/verifier's scalar domain says of every step, in the
 * notation of the kernel's log; and the same read out of a log. r6 … r8 hold scalars, r9 the ctx.
 *
 * Every jump that our domain leaves open goes to an exit of its own, so that both outcomes appear in the log: the
 * fallthrough behind the jump, the other as `from 12 to 90: …`. A jump whose outcome is known goes on with the next.
 */
import type { Insn } from "../../compiler/asm/index.ts";
import { isBranchTaken, refine, refineSelf } from "../../compiler/verifier/branch.ts";
import { knownScalar, type Scalar, UNKNOWN_SCALAR } from "../../compiler/verifier/scalar.ts";
import { alu, forkMask } from "../../compiler/verifier/scalar-alu.ts";
import {
  coerceToSize,
  coerceToSizeSigned,
  keepBytes,
  moveLow,
  moveLowSigned,
  swapBytes,
} from "../../compiler/verifier/scalar-size.ts";
import { scalarText } from "../../compiler/verifier/scalar-text.ts";
import { ALU, CLASS, JMP, MODE, SIZE, SRC } from "../../spec/isa.ts";
import type { Random } from "../random/rng.ts";

/** By place (`12`: behind instruction 12; `12 taken`: on its other outcome): the scalars known there, `R6=scalar(umin=1)`. */
export type Trace = Readonly<Record<string, string>>;

export interface ScalarProgram {
  readonly insns: readonly Insn[];
  readonly trace: Trace;
}

const SCALARS = [6, 7, 8] as const;
const CTX = 9;
const PRANDOM = 7;
const COMPARISONS = [
  JMP.JEQ,
  JMP.JNE,
  JMP.JSET,
  JMP.JGT,
  JMP.JGE,
  JMP.JLT,
  JMP.JLE,
  JMP.JSGT,
  JMP.JSGE,
  JMP.JSLT,
  JMP.JSLE,
];
const OPERATIONS = [
  ALU.ADD,
  ALU.SUB,
  ALU.MUL,
  ALU.OR,
  ALU.AND,
  ALU.XOR,
  ALU.LSH,
  ALU.RSH,
  ALU.ARSH,
  ALU.NEG,
  ALU.ADD,
  ALU.SUB,
  ALU.AND,
  ALU.DIV,
  ALU.MOD,
];

export function scalarProgram(random: Random, steps: number): ScalarProgram {
  const builder = new Builder(random);
  for (let i = 0; i < steps && !builder.isForked; i++) builder.step();
  return builder.finish();
}

class Builder {
  readonly #random: Random;
  readonly #insns: { opcode: number; dst: number; src: number; off: number; imm: number }[] = [];
  readonly #values = new Map<number, Scalar>(SCALARS.map((register) => [register, UNKNOWN_SCALAR]));
  readonly #trace: Record<string, string> = {};
  readonly #open: number[] = [];
  isForked = false;

  constructor(random: Random) {
    this.#random = random;
    this.#emit(CLASS.ALU64 | ALU.MOV | SRC.X, CTX, 1, 0, 0);
    for (const register of SCALARS) this.#refresh(register);
  }

  step(): void {
    const kind = this.#random.below(20);
    if (kind < 1) this.#refresh(this.#register());
    else if (kind < 2) this.#load(this.#register());
    else if (kind < 4) this.#move();
    else if (kind < 5) this.#swap(this.#register());
    else if (kind < 6) this.#mask(this.#register());
    else if (kind < 12) this.#calculate();
    else this.#jump();
  }

  finish(): ScalarProgram {
    this.#exit();
    for (const at of this.#open) {
      this.#insns[at]!.off = this.#insns.length - at - 1;
      this.#exit();
    }
    return { insns: this.#insns, trace: this.#trace };
  }

  #emit(opcode: number, dst: number, src: number, off: number, imm: number): number {
    return this.#insns.push({ opcode, dst, src, off, imm }) - 1;
  }
  #exit(): void {
    this.#emit(CLASS.ALU64 | ALU.MOV, 0, 0, 0, 0);
    this.#emit(CLASS.JMP | JMP.EXIT, 0, 0, 0, 0);
  }
  #register(): number {
    return this.#random.pick(SCALARS);
  }
  #value(register: number): Scalar {
    return this.#values.get(register)!;
  }
  #set(at: number, register: number, value: Scalar): void {
    this.#values.set(register, value);
    this.#trace[at] = `R${register}=${scalarText(value)}`;
  }

  #refresh(register: number): void {
    this.#emit(CLASS.JMP | JMP.CALL, 0, 0, 0, PRANDOM);
    this.#values.set(register, UNKNOWN_SCALAR);
    this.#emit(CLASS.ALU64 | ALU.MOV | SRC.X, register, 0, 0, 0);
  }

  /** A narrow load of the first ctx field (the packet's length) extends with zeros. */
  #load(register: number): void {
    const [size, bytes] = this.#random.pick([
      [SIZE.B, 1],
      [SIZE.H, 2],
      [SIZE.W, 4],
    ] as const);
    const at = this.#emit(CLASS.LDX | MODE.MEM | size, register, CTX, 0, 0);
    this.#set(at, register, coerceToSize(UNKNOWN_SCALAR, bytes));
  }

  /** A copy is linked to its source; the multiplication by 1 behind it cuts the link. */
  #move(): void {
    const random = this.#random;
    const dst = this.#register();
    if (random.oneIn(4)) {
      const imm = this.#immediate();
      const isLow = random.oneIn(2);
      const at = this.#emit((isLow ? CLASS.ALU : CLASS.ALU64) | ALU.MOV, dst, 0, 0, imm);
      this.#set(at, dst, knownScalar(isLow ? BigInt(imm >>> 0) : BigInt(imm)));
      return;
    }
    const src = this.#register();
    const value = this.#value(src);
    const isLow = random.oneIn(2);
    const bits = random.pick(isLow ? [0, 8, 16] : [0, 8, 16, 32]);
    const at = this.#emit((isLow ? CLASS.ALU : CLASS.ALU64) | ALU.MOV | SRC.X, dst, src, bits, 0);
    this.#set(at, dst, moved(value, isLow, bits / 8));
    const cut = this.#emit(CLASS.ALU64 | ALU.MUL, dst, 0, 0, 1);
    this.#set(cut, dst, alu(ALU.MUL, false, this.#value(dst), knownScalar(1n)));
  }

  #swap(register: number): void {
    const random = this.#random;
    const opcode = random.pick([CLASS.ALU | ALU.END, CLASS.ALU | ALU.END | SRC.X, CLASS.ALU64 | ALU.END]);
    const bits = random.pick([16, 32, 64]);
    const at = this.#emit(opcode, register, 0, 0, bits);
    const toLittleEndian = opcode === (CLASS.ALU | ALU.END);
    this.#set(at, register, (toLittleEndian ? keepBytes : swapBytes)(this.#value(register), bits));
  }

  /** The sign as a mask of all bits, which `&` and `|` with a constant follow on two paths. */
  #mask(register: number): void {
    const random = this.#random;
    const is32 = random.oneIn(2);
    const width = is32 ? CLASS.ALU : CLASS.ALU64;
    const distance = is32 ? 31 : 63;
    const at = this.#emit(width | ALU.ARSH, register, 0, 0, distance);
    this.#apply(at, ALU.ARSH, is32, register, knownScalar(BigInt(distance)));
    if (!random.oneIn(3)) return;
    const op = random.pick([ALU.AND, ALU.OR]);
    const imm = this.#immediate();
    const is32Again = random.oneIn(2);
    const again = this.#emit((is32Again ? CLASS.ALU : CLASS.ALU64) | op, register, 0, 0, imm);
    this.#apply(again, op, is32Again, register, knownScalar(BigInt(imm)));
  }

  #calculate(): void {
    const random = this.#random;
    const op = random.pick(OPERATIONS);
    const is32 = random.oneIn(2);
    const width = is32 ? CLASS.ALU : CLASS.ALU64;
    const dst = this.#register();
    if (op === ALU.NEG) {
      const at = this.#emit(width | op, dst, 0, 0, 0);
      this.#set(at, dst, alu(op, is32, this.#value(dst), this.#value(dst)));
      return;
    }
    const isDivision = op === ALU.DIV || op === ALU.MOD;
    const isShift = op === ALU.LSH || op === ALU.RSH || op === ALU.ARSH;
    const src = this.#register();
    if (!isShift && random.oneIn(2) && src !== dst) {
      const at = this.#emit(width | op | SRC.X, dst, src, isDivision && random.oneIn(2) ? 1 : 0, 0);
      this.#apply(at, op, is32, dst, this.#value(src));
      return;
    }
    const imm = isShift ? random.below(is32 ? 32 : 64) : this.#immediate();
    if (imm === 0 && isDivision) return;
    const at = this.#emit(width | op, dst, 0, isDivision && random.oneIn(2) ? 1 : 0, imm);
    this.#apply(at, op, is32, dst, knownScalar(BigInt(imm)));
  }

  #apply(at: number, op: number, is32: boolean, dst: number, operand: Scalar): void {
    const fork = forkMask(op, this.#value(dst), operand);
    if (fork !== null) {
      this.isForked = true;
      this.#trace[`${at} again`] = this.#state(new Map([[dst, fork.later]]));
    }
    this.#set(at, dst, alu(op, is32, fork?.now ?? this.#value(dst), operand));
  }

  #jump(): void {
    const random = this.#random;
    const op = random.pick(COMPARISONS);
    const is32 = random.oneIn(2);
    const dst = this.#register();
    const src = random.oneIn(2) ? this.#register() : 0;
    const imm = src === 0 ? this.#comparand(this.#value(dst)) : 0;
    const left = this.#value(dst);
    const right = src === 0 ? knownScalar(BigInt(imm)) : this.#value(src);
    const at = this.#emit((is32 ? CLASS.JMP32 : CLASS.JMP) | op | (src === 0 ? SRC.K : SRC.X), dst, src, 0, imm);
    const known = isBranchTaken(op, is32, left, right);
    if (known !== null) return;
    this.#open.push(at);
    const edges = dst === src ? refineSelf(op, is32, left) : refine(op, is32, left, right);
    const taken = new Map([[dst, edges.taken.a]]);
    this.#values.set(dst, edges.fallthrough.a);
    if (src !== 0) {
      taken.set(src, edges.taken.b);
      this.#values.set(src, edges.fallthrough.b);
    }
    this.#trace[`${at} taken`] = this.#state(taken);
    this.#trace[at] = registersText([dst, ...(src === 0 || src === dst ? [] : [src])], this.#values);
    for (const { name, reason } of edges.violations) {
      this.#trace[`${at} violation ${name}`] = reason;
    }
  }

  #state(changed: ReadonlyMap<number, Scalar>): string {
    return registersText(SCALARS, new Map([...this.#values, ...changed]));
  }

  /** Mostly about the ends of the range it is compared with. */
  #comparand(value: Scalar): number {
    const random = this.#random;
    if (random.oneIn(3)) return this.#immediate();
    const end = random.pick([
      value.smin,
      value.smax,
      value.umin,
      value.umax,
      BigInt(value.u32min),
      BigInt(value.u32max),
    ]);
    return Number(BigInt.asIntN(32, end + BigInt(random.between(-1, 1))));
  }

  /** Small ones, ends of ranges, bits, and anything. */
  #immediate(): number {
    const random = this.#random;
    switch (random.below(6)) {
      case 0:
        return random.between(-2, 16);
      case 1:
        return ((1 << random.below(32)) + random.between(-1, 1)) | 0;
      case 2:
        return -(1 << random.below(31));
      case 3:
        return random.between(-0x8000, 0x10000);
      case 4:
        return random.pick([-1, 0, 1, 0x7fffffff, -0x80000000, 0xff, 0xffff]);
      default:
        return random.u32() | 0;
    }
  }
}

function moved(value: Scalar, isLow: boolean, signedBytes: number): Scalar {
  if (!isLow) return signedBytes === 0 ? value : coerceToSizeSigned(value, signedBytes);
  return signedBytes === 0 ? moveLow(value) : moveLowSigned(value, signedBytes);
}

function registersText(registers: readonly number[], values: ReadonlyMap<number, Scalar>): string {
  return [...registers]
    .sort((a, b) => a - b)
    .map((register) => `R${register}=${scalarText(values.get(register)!)}`)
    .join(" ");
}

const REGISTER = /\bR(\d+)(?:_[rwD]+)?=P?(scalar\((?:[^()]|\([^()]*\))*\)|-?[0-9][0-9a-fx]*)/g;
const STEP = /^(\d+): \([0-9a-f]{2}\) /;
const STATE = /^(\d+): (?:R\d|frame)/;
const POPPED = /^from (\d+) to (\d+): (.*)$/;
const VIOLATION = /REG INVARIANTS VIOLATION \((\w+)\): (.*?) u64=/;

/** The same places out of a kernel's log of level 2, for the program it is of. */
export function traceOfLog(program: ScalarProgram, log: string): Trace {
  const trace: Record<string, string> = {};
  let at = -1;
  for (const line of log.split("\n")) {
    const step = STEP.exec(line);
    if (step !== null) at = Number(step[1]);
    const violation = VIOLATION.exec(line);
    if (violation !== null) trace[`${at} violation ${violation[1]}`] = violation[2]!;
    const popped = POPPED.exec(line);
    if (popped !== null) {
      const isFork = popped[1] === popped[2];
      trace[`${popped[1]} ${isFork ? "again" : "taken"}`] = scalarsIn(popped[3]!, SCALARS);
      // What follows is the path to an exit, or the fork's instruction once more.
      at = -1;
    } else if (at >= 0 && program.trace[at] !== undefined && (line.includes("; R") || STATE.test(line))) {
      // Where something was logged between an instruction and its state, the state has a line of its own.
      trace[at] ??= scalarsIn(line, registersOf(program.insns[at]!));
    }
  }
  return trace;
}

function registersOf(insn: Insn): number[] {
  const kind = insn.opcode & 7;
  return kind === CLASS.JMP || kind === CLASS.JMP32 ? [insn.dst, insn.src] : [insn.dst];
}

function scalarsIn(text: string, registers: readonly number[]): string {
  return [...text.matchAll(REGISTER)]
    .filter(([, register]) => registers.includes(Number(register)) && Number(register) >= 6)
    .map(([, register, value]) => `R${register}=${value!.replace(/id=\d+([+-]\d+)?,?/, "")}`)
    .join(" ");
}
