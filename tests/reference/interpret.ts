/**
 * The reference interpreter: runs a raw program (r1 memory, r2 its length) as RFC 9669 and the kernel say, one instruction
 * after the other. No helpers, no maps, no verifier: what it cannot run, it throws for. Shares only the tables of spec/
 * and the instruction type with what it checks.
 */
import { FaultError } from "../../base/index.ts";
import { type Insn, wideImmediate } from "../../compiler/asm/instruction.ts";
import * as isa from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import { alu, swapBytes, u64 } from "./alu.ts";
import { MEMORY_ADDRESS, Memory } from "./memory.ts";

export interface InterpretOptions {
  /** instructions that may run before BUDGET_EXHAUSTED */
  readonly budget?: number;
  /** is told the index of every instruction that runs */
  readonly trace?: (insnIndex: number) => void;
}

export interface Interpretation {
  readonly r0: bigint;
  /** a new array; the given one is left alone */
  readonly memory: Uint8Array;
}

/** An instruction, or a use of one, that the interpreter does not know. */
export class NotInterpreted extends Error {}

const DEFAULT_BUDGET = 20_000_000;
/** What r1 … r5 hold after a call: nothing that a verified program may read. */
const SCRATCHED = 0xdead_beef_dead_beefn;

export function interpret(insns: readonly Insn[], memory: Uint8Array, options: InterpretOptions = {}): Interpretation {
  const copy = Uint8Array.from(memory);
  const machine = new Machine(insns, copy);
  for (let left = options.budget ?? DEFAULT_BUDGET; !machine.done; left--) {
    if (left === 0) throw new FaultError("BUDGET_EXHAUSTED", "the program did not end within its budget");
    options.trace?.(machine.pc);
    machine.step();
  }
  return { r0: machine.registers[0]!, memory: copy };
}

interface Caller {
  readonly returnTo: number;
  readonly saved: readonly bigint[];
}

class Machine {
  readonly registers: bigint[];
  pc = 0;
  done = false;
  readonly #insns: readonly Insn[];
  readonly #memory: Memory;
  readonly #callers: Caller[] = [];
  #mayGotoLeft: number = LIMITS.loopIterations;

  constructor(insns: readonly Insn[], memory: Uint8Array) {
    this.#insns = insns;
    this.#memory = new Memory(memory);
    this.registers = new Array<bigint>(isa.REGISTERS).fill(0n);
    if (memory.length > 0) this.registers[1] = MEMORY_ADDRESS;
    this.registers[2] = BigInt(memory.length);
    this.registers[isa.FRAME_POINTER] = this.#memory.enterFrame(0);
  }

  step(): void {
    const insn = this.#insns[this.pc];
    if (insn === undefined) throw new FaultError("MEMORY_FAULT", `there is no instruction ${this.pc}`);
    switch (insn.opcode & 7) {
      case isa.CLASS.ALU:
      case isa.CLASS.ALU64:
        this.#arithmetic(insn);
        this.pc++;
        return;
      case isa.CLASS.JMP:
      case isa.CLASS.JMP32:
        this.#jump(insn);
        return;
      case isa.CLASS.LD:
        if (insn.opcode !== (isa.CLASS.LD | isa.MODE.IMM | isa.SIZE.DW) || insn.src !== 0) this.#unknown(insn);
        this.registers[insn.dst] = wideImmediate(this.#insns, this.pc);
        this.pc += 2;
        return;
      default:
        this.#access(insn);
        this.pc++;
    }
  }

  #unknown(insn: Insn): never {
    throw new NotInterpreted(`instruction ${this.pc}, opcode 0x${insn.opcode.toString(16)}`);
  }

  #operand(insn: Insn): bigint {
    return insn.opcode & isa.SRC.X ? this.registers[insn.src]! : u64(BigInt(insn.imm));
  }

  #arithmetic(insn: Insn): void {
    const bits = (insn.opcode & 7) === isa.CLASS.ALU64 ? 64 : 32;
    const operation = insn.opcode & 0xf0;
    const left = this.registers[insn.dst]!;
    if (operation !== isa.ALU.END) {
      this.registers[insn.dst] = alu(operation, bits, left, this.#operand(insn), insn.off);
      return;
    }
    const swaps = bits === 64 || (insn.opcode & isa.SRC.X) !== 0;
    this.registers[insn.dst] = swaps ? swapBytes(left, insn.imm) : BigInt.asUintN(insn.imm, left);
  }

  #jump(insn: Insn): void {
    const narrow = (insn.opcode & 7) === isa.CLASS.JMP32;
    const operation = insn.opcode & 0xf0;
    switch (operation) {
      case isa.JMP.JA:
        this.pc += 1 + (narrow ? insn.imm : insn.off);
        return;
      case isa.JMP.JCOND:
        this.pc += 1 + (this.#mayGotoLeft-- > 0 ? 0 : insn.off);
        return;
      case isa.JMP.CALL:
        this.#call(insn);
        return;
      case isa.JMP.EXIT:
        this.#exit();
        return;
      default:
        this.pc +=
          1 + (holds(operation, narrow ? 32 : 64, this.registers[insn.dst]!, this.#operand(insn)) ? insn.off : 0);
    }
  }

  #call(insn: Insn): void {
    if (insn.opcode & isa.SRC.X || insn.src !== isa.PSEUDO_CALL.SUBPROG) this.#unknown(insn);
    if (this.#callers.length + 1 >= LIMITS.callFrames) throw new FaultError("MEMORY_FAULT", "too many frames");
    this.#callers.push({ returnTo: this.pc + 1, saved: this.registers.slice(6, 11) });
    this.registers[isa.FRAME_POINTER] = this.#memory.enterFrame(this.#callers.length);
    this.pc += 1 + insn.imm;
  }

  #exit(): void {
    const caller = this.#callers.pop();
    if (caller === undefined) {
      this.done = true;
      return;
    }
    this.#memory.leaveFrame();
    caller.saved.forEach((value, index) => {
      this.registers[6 + index] = value;
    });
    this.registers.fill(SCRATCHED, 1, 6);
    this.pc = caller.returnTo;
  }

  /** Loads, stores and atomics. */
  #access(insn: Insn): void {
    const size = isa.SIZE_BYTES[insn.opcode & 0x18]!;
    const mode = insn.opcode & 0xe0;
    const at = (register: number) => u64(this.registers[register]! + BigInt(insn.off));
    switch (insn.opcode & 7) {
      case isa.CLASS.LDX: {
        if (mode !== isa.MODE.MEM && mode !== isa.MODE.MEMSX) this.#unknown(insn);
        const value = this.#memory.load(at(insn.src), size);
        this.registers[insn.dst] = mode === isa.MODE.MEM ? value : u64(BigInt.asIntN(8 * size, value));
        return;
      }
      case isa.CLASS.ST:
        if (mode !== isa.MODE.MEM) this.#unknown(insn);
        this.#memory.store(at(insn.dst), size, u64(BigInt(insn.imm)));
        return;
      default:
        if (mode === isa.MODE.MEM) this.#memory.store(at(insn.dst), size, this.registers[insn.src]!);
        else if (mode === isa.MODE.ATOMIC) this.#atomic(insn, size, at);
        else this.#unknown(insn);
    }
  }

  #atomic(insn: Insn, size: number, at: (register: number) => bigint): void {
    if (insn.imm === isa.ATOMIC.LOAD_ACQ) {
      this.registers[insn.dst] = this.#memory.load(at(insn.src), size);
      return;
    }
    const address = at(insn.dst);
    const source = this.registers[insn.src]!;
    if (insn.imm === isa.ATOMIC.STORE_REL) {
      this.#memory.store(address, size, source);
      return;
    }
    if (size !== 4 && size !== 8) this.#unknown(insn);
    const old = this.#memory.load(address, size);
    if (insn.imm === isa.ATOMIC.CMPXCHG) {
      const expected = BigInt.asUintN(8 * size, this.registers[0]!);
      if (old === expected) this.#memory.store(address, size, source);
      this.registers[0] = old;
      return;
    }
    const exchanges = insn.imm === isa.ATOMIC.XCHG;
    const operation = insn.imm & ~isa.ATOMIC.FETCH;
    const known: readonly number[] = [isa.ATOMIC.ADD, isa.ATOMIC.OR, isa.ATOMIC.AND, isa.ATOMIC.XOR];
    if (!exchanges && !known.includes(operation)) this.#unknown(insn);
    this.#memory.store(address, size, exchanges ? source : alu(operation, size === 8 ? 64 : 32, old, source, 0));
    if (insn.imm & isa.ATOMIC.FETCH) this.registers[insn.src] = old;
  }
}

function holds(operation: number, bits: 32 | 64, left: bigint, right: bigint): boolean {
  const a = BigInt.asUintN(bits, left);
  const b = BigInt.asUintN(bits, right);
  const signedA = BigInt.asIntN(bits, a);
  const signedB = BigInt.asIntN(bits, b);
  switch (operation) {
    case isa.JMP.JEQ:
      return a === b;
    case isa.JMP.JNE:
      return a !== b;
    case isa.JMP.JGT:
      return a > b;
    case isa.JMP.JGE:
      return a >= b;
    case isa.JMP.JLT:
      return a < b;
    case isa.JMP.JLE:
      return a <= b;
    case isa.JMP.JSGT:
      return signedA > signedB;
    case isa.JMP.JSGE:
      return signedA >= signedB;
    case isa.JMP.JSLT:
      return signedA < signedB;
    case isa.JMP.JSLE:
      return signedA <= signedB;
    case isa.JMP.JSET:
      return (a & b) !== 0n;
    default:
      throw new NotInterpreted(`jump 0x${operation.toString(16)}`);
  }
}
