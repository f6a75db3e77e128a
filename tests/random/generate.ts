/**
 * Random programs of type raw that the kernel accepts: all registers initialised, memory and stack in bounds, loops bounded.
 * They leave every register in memory, so that comparing memory compares all that they computed.
 */
import type { Insn } from "../../compiler/asm/index.ts";
import * as isa from "../../spec/isa.ts";
import { Builder, FRAME, MEMORY, MEMORY_BYTES, POINTER, SCALARS, STACK_BYTES, WORK_BYTES } from "./builder.ts";
import { Random } from "./rng.ts";
import { emitAlu, emitAtomic, emitLoad, emitSpill, emitStore, emitWide } from "./snippets.ts";

const { CLASS, JMP, SRC, SIZE } = isa;

export interface RandomProgram {
  readonly seed: number;
  readonly insns: readonly Insn[];
  readonly memory: Uint8Array;
  /** where the memory is to begin behind an 8-byte boundary; atomics are misaligned by it */
  readonly misalign: number;
}

/** `count` programs from `seed` on; program i depends on seed + i alone. */
export function* generate(seed: number, count: number): Generator<RandomProgram> {
  for (let i = 0; i < count; i++) yield generateProgram(seed + i);
}

export function generateProgram(seed: number): RandomProgram {
  const random = new Random(seed);
  const misalign = random.oneIn(10) ? random.between(1, 7) : 0;
  const memory = new Uint8Array(MEMORY_BYTES);
  for (let i = 0; i < memory.length; i++)
    memory[i] = random.pick([0, 0xff, 0x80, 1, random.below(256), random.below(256)]);
  const functions = makeFunctions(random, misalign);
  return { seed, insns: link(functions), memory, misalign };
}

/** Calls among the functions: 0 is the main one, a function calls only those after it, at most three deep. */
function makeFunctions(random: Random, misalign: number): Builder[] {
  const count = random.oneIn(3) ? random.between(2, 4) : 1;
  const functions: Builder[] = [];
  for (let index = 0; index < count; index++) {
    const b = new Builder(random, misalign);
    const callees = Array.from({ length: count - index - 1 }, (_, distance) => index + 1 + distance);
    const body = new Body(b, callees);
    if (index === 0) emitMain(body);
    else emitSubprogram(body);
    functions.push(b);
  }
  return functions;
}

/** Functions one behind the other, calls resolved. */
function link(functions: readonly Builder[]): Insn[] {
  const starts: number[] = [];
  let total = 0;
  for (const one of functions) {
    starts.push(total);
    total += one.length;
  }
  const insns: Insn[] = [];
  functions.forEach((one, index) => {
    const calls = new Map(one.calls.map(({ at, callee }) => [at, callee]));
    one.insns.forEach((insn, at) => {
      const callee = calls.get(at);
      insns.push(callee === undefined ? insn : { ...insn, imm: starts[callee]! - (starts[index]! + at) - 1 });
    });
  });
  return insns;
}

function emitMain(body: Body): void {
  const { b } = body;
  b.move(MEMORY, POINTER);
  for (const register of SCALARS) body.initialise(register);
  body.initialiseStack();
  body.statements(b.random.between(8, 30), 0);
  // A function that nothing calls is unreachable, which the kernel refuses.
  for (const callee of body.uncalled) body.call(callee);
  SCALARS.forEach((register, index) => {
    b.store(SIZE.DW, MEMORY, WORK_BYTES + 8 * index, register);
  });
  b.emit(CLASS.JMP | JMP.EXIT, 0, 0, 0, 0);
}

/** Called with the memory in r1 and scalars in r2 … r5. */
function emitSubprogram(body: Body): void {
  const { b } = body;
  b.move(MEMORY, POINTER);
  for (const register of [0, 7, 8, 9]) body.initialise(register);
  body.initialiseStack();
  body.statements(b.random.between(3, 10), 1);
  b.emit(CLASS.JMP | JMP.EXIT, 0, 0, 0, 0);
}

const COMPARISONS = [
  JMP.JEQ,
  JMP.JGT,
  JMP.JGE,
  JMP.JSET,
  JMP.JNE,
  JMP.JSGT,
  JMP.JSGE,
  JMP.JLT,
  JMP.JLE,
  JMP.JSLT,
  JMP.JSLE,
] as const;

/** The statements of one function. */
class Body {
  readonly b: Builder;
  readonly #callees: readonly number[];
  readonly uncalled: Set<number>;
  /** branches left: each may double the verifier's paths */
  #branches: number;

  constructor(b: Builder, callees: readonly number[]) {
    this.b = b;
    this.#callees = callees;
    this.uncalled = new Set(callees);
    this.#branches = callees.length > 0 ? 6 : 10;
  }

  initialise(register: number): void {
    const { b } = this;
    switch (b.random.below(3)) {
      case 0:
        b.wide(register);
        return;
      case 1:
        b.moveImm(register, b.imm32());
        return;
      default:
        b.load(SIZE.DW, register, MEMORY, b.random.below(WORK_BYTES - 7));
    }
  }

  initialiseStack(): void {
    const { b } = this;
    for (let off = -STACK_BYTES; off < 0; off += 8) {
      if (b.random.oneIn(2)) b.store(SIZE.DW, FRAME, off, b.read());
      else b.storeImm(SIZE.DW, FRAME, off, b.imm32());
    }
  }

  statements(count: number, depth: number): void {
    for (let i = 0; i < count; i++) this.statement(depth);
  }

  /** `depth`: loops, branches and functions around it. */
  statement(depth: number): void {
    const { random } = this.b;
    const choice = random.below(100);
    if (choice < 22 && this.#branches > 0) this.branch(depth);
    else if (choice < 28 && depth < 2) this.loop(depth);
    else if (choice < 32 && this.#callees.length > 0 && depth < 2) this.call(random.pick(this.#callees));
    else this.straight();
  }

  straight(): void {
    const { b } = this;
    const choice = b.random.below(100);
    if (choice < 50) emitAlu(b);
    else if (choice < 65) emitLoad(b);
    else if (choice < 80) emitStore(b);
    else if (choice < 94) emitAtomic(b);
    else if (choice < 97) emitWide(b);
    else emitSpill(b);
  }

  /** A condition that skips, or chooses between, some statements. */
  branch(depth: number): void {
    const { b } = this;
    this.#branches--;
    const at = this.condition(b.random.pick(COMPARISONS), b.random.oneIn(2), b.random.oneIn(2));
    this.statements(b.random.between(1, 2), depth + 1);
    if (b.random.oneIn(2)) {
      const over = b.jump(b.random.oneIn(2) ? CLASS.JMP | JMP.JA : CLASS.JMP32 | JMP.JA);
      b.land(at);
      this.statements(b.random.between(1, 2), depth + 1);
      b.land(over);
    } else b.land(at);
  }

  condition(operation: number, narrow: boolean, immediate: boolean): number {
    const { b } = this;
    const opcode = (narrow ? CLASS.JMP32 : CLASS.JMP) | operation | (immediate ? SRC.K : SRC.X);
    return b.jump(opcode, b.read(), immediate ? 0 : b.read(), immediate ? b.imm32() : 0);
  }

  /** Counted by a register that the body leaves alone. */
  loop(depth: number): void {
    const { b } = this;
    const { random } = b;
    const counter = [9, 8].find((register) => !b.locked.has(register));
    if (counter === undefined) {
      this.straight();
      return;
    }
    const rounds = random.between(1, depth === 0 ? 6 : 3);
    const up = random.oneIn(2);
    const branches = this.#branches;
    this.#branches = Math.min(1, branches);
    b.moveImm(counter, up ? 0 : rounds);
    b.locked.add(counter);
    const top = b.length;
    const outside = random.oneIn(3);
    const end = up ? rounds : 0;
    const leave = outside ? b.jump(CLASS.JMP | JMP.JEQ, counter, 0, end) : null;
    this.statements(random.between(1, 4), depth + 1);
    b.alu64(isa.ALU.ADD, counter, up ? 1 : -1);
    if (leave !== null) {
      b.land(b.jump(random.oneIn(2) ? CLASS.JMP | JMP.JA : CLASS.JMP32 | JMP.JA), top);
      b.land(leave);
    } else {
      const operation = random.pick(up ? [JMP.JNE, JMP.JLT, JMP.JSLT] : [JMP.JNE, JMP.JGT, JMP.JSGT]);
      b.land(b.jump((random.oneIn(2) ? CLASS.JMP32 : CLASS.JMP) | operation, counter, 0, end), top);
    }
    b.locked.delete(counter);
    this.#branches = branches - 1;
  }

  /** Scalars go as they are; r1 … r5 are made anew afterwards, for the callee leaves nothing in them. */
  call(callee: number): void {
    const { b } = this;
    this.uncalled.delete(callee);
    b.move(POINTER, MEMORY);
    b.calls.push({ at: b.length, callee });
    b.emit(CLASS.JMP | JMP.CALL, 0, isa.PSEUDO_CALL.SUBPROG, 0, 0);
    for (const register of [2, 3, 4, 5]) this.initialise(register);
  }
}
