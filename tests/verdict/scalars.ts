/** Statements on numbers and on the stack. */
import { ALU, CLASS, JMP, MODE, SIZE, SIZE_BYTES, SRC } from "../../spec/isa.ts";
import { SCALAR, type Writer } from "./writer.ts";

const PRANDOM = 7;
const OPERATIONS = [
  ...[ALU.ADD, ALU.SUB, ALU.MUL, ALU.DIV, ALU.OR, ALU.AND, ALU.LSH, ALU.RSH, ALU.NEG, ALU.MOD, ALU.XOR, ALU.MOV],
  ...[ALU.ARSH, ALU.END, ALU.ADD, ALU.AND],
];
export const COMPARISONS = [
  ...[JMP.JEQ, JMP.JNE, JMP.JSET, JMP.JGT, JMP.JGE, JMP.JLT, JMP.JLE, JMP.JSGT, JMP.JSGE, JMP.JSLT, JMP.JSLE],
];
export const SIZES = [SIZE.B, SIZE.H, SIZE.W, SIZE.DW] as const;

/** Registers that statements may overwrite: the kept ones seldom, the ctx (r6) only by mistake. */
export function anyRegister(w: Writer): number {
  if (w.errs()) return w.random.below(11);
  return w.random.oneIn(3) ? w.random.between(7, 9) : w.random.below(6);
}

/** A register that holds a number, made where there is none; sometimes one that holds something else. */
export function scalar(w: Writer): number {
  const held = w.holding("scalar");
  if (held.length > 0 && !w.random.oneIn(6)) return w.errs() ? w.random.below(11) : w.random.pick(held);
  const register = anyRegister(w) % 10;
  if (w.random.oneIn(2)) {
    w.moveImm(register, immediate(w));
    return register;
  }
  w.helper(PRANDOM, { is: "scalar", max: 0xffff_ffff });
  if (w.random.oneIn(2) || register < 6) return 0;
  w.move(register, 0);
  return register;
}

export function immediate(w: Writer): number {
  const { random } = w;
  switch (random.below(5)) {
    case 0:
    case 1:
      return random.between(-4, 64);
    case 2:
      return (1 << random.below(32)) + random.between(-1, 1);
    case 3:
      return random.pick([0, 1, -1, 7, 8, 255, 4095]);
    default:
      return random.u32();
  }
}

export function calculate(w: Writer): void {
  const { random } = w;
  const op = random.pick(OPERATIONS);
  const width = random.oneIn(3) ? CLASS.ALU : CLASS.ALU64;
  const dst = scalar(w);
  if (op === ALU.END) w.emit(width | ALU.END, dst, 0, 0, random.pick([16, 32, 64]));
  else if (op === ALU.NEG) w.emit(width | op, dst);
  else if (random.oneIn(2)) calculateWithRegister(w, width | op, dst);
  else calculateWithImmediate(w, op, width, dst);
  if (dst !== 10) w.registers[dst] = SCALAR;
}

function calculateWithRegister(w: Writer, opcode: number, dst: number): void {
  const { random } = w;
  const src = scalar(w);
  const op = opcode & 0xf0;
  const isDivision = op === ALU.DIV || op === ALU.MOD;
  const signedBits =
    op === ALU.MOV && random.oneIn(2) ? random.pick((opcode & 7) === CLASS.ALU ? [8, 16] : [8, 16, 32]) : 0;
  w.emit(opcode | SRC.X, dst, src, isDivision ? random.below(2) : signedBits);
}

function calculateWithImmediate(w: Writer, op: number, width: number, dst: number): void {
  const { random } = w;
  const isShift = op === ALU.LSH || op === ALU.RSH || op === ALU.ARSH;
  const isDivision = op === ALU.DIV || op === ALU.MOD;
  let imm = isShift ? random.below(width === CLASS.ALU ? 32 : 64) : immediate(w);
  if (isDivision && imm === 0 && !w.errs()) imm = 3;
  if (isShift && w.errs()) imm = 64;
  w.emit(width | op, dst, 0, isDivision ? random.below(2) : 0, imm);
}

/** A number below a limit, as programs make one of something unknown. Returns its register. */
export function boundedScalar(w: Writer, most: number): number {
  const { random } = w;
  const register = scalar(w);
  const limit = w.errs() ? most + 1 : most;
  if (random.oneIn(4)) boundSigned(w, register, limit);
  else if (random.oneIn(2)) {
    const mask = 2 ** Math.floor(Math.log2(limit + 1)) - 1;
    w.emit((random.oneIn(4) ? CLASS.ALU : CLASS.ALU64) | ALU.AND, register, 0, 0, mask);
  } else {
    const inside = w.label();
    w.jumpIf((random.oneIn(4) ? CLASS.JMP32 : CLASS.JMP) | JMP.JLE, register, { imm: limit }, inside);
    w.moveImm(register, random.between(0, limit));
    w.place(inside);
  }
  if (random.oneIn(3)) w.emit(CLASS.ALU64 | ALU.AND, register, 0, 0, -(2 ** random.below(4)));
  w.registers[register] = { is: "scalar", max: most };
  return register;
}

/** Both ends by signed comparisons, one of them forgotten by mistake. */
function boundSigned(w: Writer, register: number, limit: number): void {
  const { random } = w;
  const width = random.oneIn(4) ? CLASS.JMP32 : CLASS.JMP;
  const outside = w.label();
  const inside = w.label();
  w.jumpIf(width | JMP.JSGT, register, { imm: limit }, outside);
  if (w.errs()) w.jump(inside);
  else w.jumpIf(width | random.pick([JMP.JSGE, JMP.JSGT]), register, { imm: random.pick([0, 0, -1]) }, inside);
  w.place(outside);
  w.moveImm(register, random.between(0, limit));
  w.place(inside);
  if (width === CLASS.JMP32 && !w.errs()) w.emit(CLASS.ALU | ALU.MOV | SRC.X, register, register);
}

/** `if (…) { … } else { … }` */
export function branch(w: Writer, block: () => void): void {
  const { random } = w;
  const otherwise = w.label();
  const end = w.label();
  compare(w, otherwise);
  const before = w.snapshot();
  block();
  if (random.oneIn(2)) {
    w.place(otherwise);
    w.meet(before);
    return;
  }
  w.jump(end);
  const after = w.snapshot();
  w.restore(before);
  w.place(otherwise);
  block();
  w.place(end);
  w.meet(after);
}

/** Jumps on a comparison of numbers. */
export function compare(w: Writer, label: number): void {
  const { random } = w;
  const op = (random.oneIn(4) ? CLASS.JMP32 : CLASS.JMP) | random.pick(COMPARISONS);
  const left = scalar(w);
  if (random.oneIn(3)) w.jumpIf(op | SRC.X, left, { src: scalar(w) }, label);
  else w.jumpIf(op, left, { imm: immediate(w) }, label);
}

/** A loop that counts up to a constant, or to a bounded number. */
export function loop(w: Writer, block: () => void): void {
  const { random } = w;
  const free = [7, 8, 9].filter((register) => w.registers[register]!.is === "nothing");
  if (free.length === 0 || w.loopDepth >= 2) {
    calculate(w);
    return;
  }
  const counter = random.pick(free);
  w.moveImm(counter, 0);
  // Counters are numbers that nothing else may change.
  w.registers[counter] = { is: "ctx" };
  const again = w.label();
  w.place(again);
  w.loopDepth++;
  block();
  w.loopDepth--;
  if (!w.errs()) w.addImm(counter, 1);
  if (random.oneIn(3)) {
    const limit = boundedScalar(w, 8);
    w.jumpIf(CLASS.JMP | JMP.JLT | SRC.X, counter, { src: limit }, again);
  } else w.jumpIf(CLASS.JMP | random.pick([JMP.JLT, JMP.JNE, JMP.JSLT]), counter, { imm: random.between(1, 6) }, again);
  w.registers[counter] = { is: "scalar", max: 8 };
}

/** Where the stack is written or read: a multiple of the size within the function's part. */
function slotOffset(w: Writer, bytes: number): number {
  const { random } = w;
  if (w.errs()) return random.pick([0, -520, 8, -7, -w.stackBytes - bytes]);
  return -bytes * random.between(1, Math.min(12, w.stackBytes / bytes));
}

/** Stores a register, a pointer too, or a constant on the stack. */
export function store(w: Writer): void {
  const { random } = w;
  const size = random.oneIn(2) ? SIZE.DW : random.pick(SIZES);
  const bytes = SIZE_BYTES[size]!;
  const offset = slotOffset(w, bytes);
  const slot = Math.floor(offset / 8) * 8;
  if (random.oneIn(3)) {
    w.emit(CLASS.ST | MODE.MEM | size, 10, 0, offset, random.oneIn(3) ? 0 : immediate(w));
    if (bytes === 8 || w.slots.has(slot)) w.slots.set(slot, SCALAR);
    return;
  }
  const held = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].filter((register) => w.registers[register]!.is !== "nothing");
  const src = size === SIZE.DW && held.length > 0 && random.oneIn(2) ? random.pick(held) : scalar(w);
  w.emit(CLASS.STX | MODE.MEM | size, 10, src, offset);
  if (bytes === 8) w.slots.set(slot, w.registers[src]!);
  else if (w.slots.has(slot)) w.slots.set(slot, SCALAR);
}

/** Loads what was stored, whole or in part. */
export function load(w: Writer): void {
  const { random } = w;
  const slots = [...w.slots];
  if (slots.length === 0) {
    store(w);
    return;
  }
  const [slot, belief] = random.pick(slots);
  const dst = anyRegister(w);
  const isPointer = belief.is !== "scalar" && !w.errs();
  const size = isPointer || random.oneIn(2) ? SIZE.DW : random.pick(SIZES);
  const bytes = SIZE_BYTES[size]!;
  const offset = w.errs() ? slotOffset(w, bytes) - 4 : slot + bytes * random.below(8 / bytes);
  const isSigned = bytes < 8 && random.oneIn(4);
  w.emit(CLASS.LDX | (isSigned ? MODE.MEMSX : MODE.MEM) | size, dst, 10, offset);
  if (dst !== 10) w.registers[dst] = bytes === 8 ? belief : SCALAR;
}

/** Stack memory through a pointer with a variable offset. */
export function variableStack(w: Writer): void {
  const { random } = w;
  const index = boundedScalar(w, 7);
  const pointer = [1, 2, 3, 4, 5].find((register) => register !== index)!;
  const base = -8 * random.between(2, 6);
  // All of what may be reached is written before.
  if (!w.errs())
    for (let offset = base; offset < base + 16; offset += 8) w.emit(CLASS.ST | MODE.MEM | SIZE.DW, 10, 0, offset, 0);
  w.slots.set(base, SCALAR);
  w.slots.set(base + 8, SCALAR);
  w.stackPointer(pointer, base);
  w.emit(CLASS.ALU64 | ALU.ADD | SRC.X, pointer, index);
  const size = random.pick([SIZE.B, SIZE.B, SIZE.H, SIZE.W]);
  if (random.oneIn(2)) w.emit(CLASS.LDX | MODE.MEM | size, index, pointer, 0);
  else w.emit(CLASS.STX | MODE.MEM | size, pointer, index, 0);
  w.registers[index] = SCALAR;
}
