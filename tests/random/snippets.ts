/** Straight-line snippets of random programs: arithmetic, memory, stack and atomics. Every one keeps scalars scalar. */
import * as isa from "../../spec/isa.ts";
import { type Builder, FRAME, MEMORY, POINTER, SPILL_OFFSET, STACK_BYTES, WORK_BYTES } from "./builder.ts";

const { ALU, CLASS, SRC, SIZE, MODE, ATOMIC } = isa;

interface AluForm {
  readonly opcode: number;
  readonly off: number;
  /** immediates that fit, where the form takes one */
  readonly imm: "any" | "shift32" | "shift64" | "nonzero" | "none" | readonly number[];
}

const ALU_FORMS: readonly AluForm[] = [CLASS.ALU, CLASS.ALU64].flatMap((group): AluForm[] => {
  const wide = group === CLASS.ALU64;
  const plain = [ALU.ADD, ALU.SUB, ALU.MUL, ALU.OR, ALU.AND, ALU.XOR, ALU.MOV];
  const shifts = [ALU.LSH, ALU.RSH, ALU.ARSH];
  const divisions = [ALU.DIV, ALU.MOD];
  const any = [...plain, ...shifts, ...divisions];
  return [
    ...any.map((operation): AluForm => ({ opcode: group | operation | SRC.X, off: 0, imm: "none" })),
    ...plain.map((operation): AluForm => ({ opcode: group | operation, off: 0, imm: "any" })),
    ...shifts.map((operation): AluForm => ({ opcode: group | operation, off: 0, imm: wide ? "shift64" : "shift32" })),
    ...divisions.flatMap((operation): AluForm[] => [
      { opcode: group | operation, off: 0, imm: "nonzero" },
      { opcode: group | operation, off: 1, imm: "nonzero" },
      { opcode: group | operation | SRC.X, off: 1, imm: "none" },
    ]),
    { opcode: group | ALU.NEG, off: 0, imm: "none" },
    ...(wide ? [8, 16, 32] : [8, 16]).map((off): AluForm => ({ opcode: group | ALU.MOV | SRC.X, off, imm: "none" })),
    { opcode: group | ALU.END, off: 0, imm: [16, 32, 64] },
    // Class ALU swaps with the source bit set; ALU64 has one form only, which counts twice.
    { opcode: (wide ? group : group | SRC.X) | ALU.END, off: 0, imm: [16, 32, 64] },
  ];
});

export function emitAlu(b: Builder): void {
  const form = b.random.pick(ALU_FORMS);
  const dst = b.write();
  const fromRegister = (form.opcode & SRC.X) !== 0 && (form.opcode & 0xf0) !== ALU.END;
  b.emit(form.opcode, dst, fromRegister ? b.read() : 0, form.off, immediate(b, form));
}

function immediate(b: Builder, form: AluForm): number {
  switch (form.imm) {
    case "none":
      return 0;
    case "any":
      return b.imm32();
    case "shift32":
      return b.random.below(32);
    case "shift64":
      return b.random.below(64);
    case "nonzero":
      return b.imm32() || 3;
    default:
      return b.random.pick(form.imm);
  }
}

export function emitWide(b: Builder): void {
  b.wide(b.write());
}

const SIZES = [SIZE.B, SIZE.H, SIZE.W, SIZE.DW] as const;

/** A place in memory: at a fixed or variable offset, through r6 or r1. `align`: the offset is a multiple of it. */
interface Place {
  readonly base: number;
  readonly off: number;
}

function memoryPlace(b: Builder, bytes: number, align: number): Place {
  const { random } = b;
  const fixed = random.below(Math.floor((WORK_BYTES - bytes) / align) + 1) * align;
  switch (random.below(5)) {
    case 0: {
      // Masked, then added.
      const index = boundedIndex(b, align);
      b.move(POINTER, MEMORY);
      b.addRegister(POINTER, index);
      return { base: POINTER, off: random.below(56 / align) * align };
    }
    case 1: {
      // Subtracted from the largest offset; the sum has the scalar first.
      const index = boundedIndex(b, align);
      b.moveImm(POINTER, 0x7f & ~(align - 1));
      b.addRegister(POINTER, index, ALU.SUB);
      b.addRegister(POINTER, MEMORY);
      return { base: POINTER, off: random.below(56 / align) * align };
    }
    case 2:
      b.move(POINTER, MEMORY);
      b.alu64(ALU.ADD, POINTER, fixed + 64);
      return { base: POINTER, off: -64 };
    default:
      return { base: MEMORY, off: fixed };
  }
}

/** A scalar cut to 0 … 127, a multiple of `align`. */
function boundedIndex(b: Builder, align: number): number {
  const index = b.write();
  const mask = 0x7f & ~(align - 1);
  if (b.random.oneIn(3)) b.emit(CLASS.ALU | ALU.AND, index, 0, 0, mask);
  else b.alu64(ALU.AND, index, mask);
  return index;
}

/** Stack accesses are aligned: the kernel insists. */
function stackPlace(b: Builder, bytes: number): Place {
  const { random } = b;
  if (!random.oneIn(5)) return fixedStackPlace(b, bytes);
  const index = b.write();
  b.alu64(ALU.AND, index, 0x38);
  b.move(POINTER, FRAME);
  b.alu64(ALU.ADD, POINTER, -STACK_BYTES);
  b.addRegister(POINTER, index);
  return { base: POINTER, off: random.below(8 / bytes) * bytes };
}

function fixedStackPlace(b: Builder, bytes: number): Place {
  return { base: FRAME, off: -STACK_BYTES + b.random.below(STACK_BYTES / bytes) * bytes };
}

function place(b: Builder, bytes: number): Place {
  return b.random.oneIn(3) ? stackPlace(b, bytes) : memoryPlace(b, bytes, 1);
}

const LOAD_MODES: readonly (readonly [number, number])[] = [
  ...SIZES.map((size) => [MODE.MEM, size] as const),
  ...[SIZE.B, SIZE.H, SIZE.W].map((size) => [MODE.MEMSX, size] as const),
];

export function emitLoad(b: Builder): void {
  const [mode, size] = b.random.pick(LOAD_MODES);
  const { base, off } = place(b, isa.SIZE_BYTES[size]!);
  b.emit(CLASS.LDX | mode | size, b.write(), base, off, 0);
}

export function emitStore(b: Builder): void {
  const size = b.random.pick(SIZES);
  const { base, off } = place(b, isa.SIZE_BYTES[size]!);
  if (b.random.oneIn(2)) b.store(size, base, off, b.read());
  else b.storeImm(size, base, off, b.imm32());
}

/** The memory pointer to the stack and back. */
export function emitSpill(b: Builder): void {
  b.store(SIZE.DW, FRAME, SPILL_OFFSET, MEMORY);
  if (b.random.oneIn(2)) b.move(MEMORY, FRAME);
  b.load(SIZE.DW, MEMORY, FRAME, SPILL_OFFSET);
}

const ATOMIC_OPERATIONS: readonly number[] = [
  ...[ATOMIC.ADD, ATOMIC.OR, ATOMIC.AND, ATOMIC.XOR].flatMap((operation) => [operation, operation | ATOMIC.FETCH]),
  ATOMIC.XCHG,
  ATOMIC.CMPXCHG,
];

export function emitAtomic(b: Builder): void {
  if (b.random.oneIn(4)) {
    emitOrdered(b);
    return;
  }
  const operation = b.random.pick(ATOMIC_OPERATIONS);
  const size = b.random.pick([SIZE.W, SIZE.DW]);
  // What the instruction writes: r0 by compare and exchange, the source by the others that fetch.
  const source = operation === ATOMIC.CMPXCHG || !(operation & ATOMIC.FETCH) ? b.read() : b.write();
  const { base, off } = atomicPlace(b, isa.SIZE_BYTES[size]!);
  // Linux 6.18 takes what such an instruction reads from the stack for known where another path knew it (its precision
  // tracking stops there; later kernels go on), and removes branches that do run. A byte it knows nothing of helps.
  if (base === FRAME && operation & ATOMIC.FETCH) b.storeImm(SIZE.B, FRAME, off, b.random.between(1, 127));
  if (operation === ATOMIC.CMPXCHG && b.random.oneIn(2)) b.load(size, 0, base, off);
  b.emit(CLASS.STX | MODE.ATOMIC | size, base, source, off, operation);
}

/** Load with acquire, store with release semantics. */
function emitOrdered(b: Builder): void {
  const size = b.random.pick(SIZES);
  const loads = b.random.oneIn(2);
  const { base, off } = atomicPlace(b, isa.SIZE_BYTES[size]!);
  const opcode = CLASS.STX | MODE.ATOMIC | size;
  if (loads) b.emit(opcode, b.write(), base, off, ATOMIC.LOAD_ACQ);
  else b.emit(opcode, base, b.read(), off, ATOMIC.STORE_REL);
}

/**
 * Aligned as the verifier sees it, and on the stack at a fixed offset. Where the memory itself is not, the access must not cross a cache line: some
 * processors fault on that.
 */
function atomicPlace(b: Builder, bytes: number): Place {
  if (b.misalign === 0) return b.random.oneIn(4) ? fixedStackPlace(b, bytes) : memoryPlace(b, bytes, bytes);
  for (;;) {
    const off = b.random.below(WORK_BYTES / bytes) * bytes;
    if (((off + b.misalign) % 64) + bytes <= 64) return { base: MEMORY, off };
  }
}
