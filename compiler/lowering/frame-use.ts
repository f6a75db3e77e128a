/**
 * What a function does with its own stack frame: every load, store and helper argument that lies in it, at which offset from
 * the frame pointer. Registers are followed over the graph; where a pointer into the frame may go somewhere else (it is
 * stored, passed to a subprogram, computed with), nothing is known of the frame. Verified programs only.
 */
import { type ArgSpec, calleeOf, type NamedKernelFunction } from "../../spec/index.ts";
import {
  ALU,
  ATOMIC,
  CLASS,
  FRAME_POINTER,
  JMP,
  MODE,
  PSEUDO_CALL,
  REGISTERS,
  SIZE_BYTES,
  SRC,
} from "../../spec/isa.ts";
import { type Insn, insnClass, isWideImmediate } from "../asm/instruction.ts";
import type { Program, ProgramFacts } from "../program.ts";
import type { Cfg } from "./cfg.ts";
import { kernelFunctionOf } from "./kernel-functions.ts";

/** Bytes of the frame from `offset` on, below the frame pointer. */
export interface FrameBytes {
  readonly insnIndex: number;
  readonly offset: number;
  readonly bytes: number;
}
export interface FrameAccess extends FrameBytes {
  /** false: an atomic */
  readonly plain: boolean;
}
export interface FrameArgument extends FrameBytes {
  readonly register: number;
  readonly kind: ArgSpec["is"];
  /** the helper may write it */
  readonly written: boolean;
}

export interface FrameUse {
  readonly accesses: readonly FrameAccess[];
  readonly args: readonly FrameArgument[];
}

/** In place of an offset: holds no pointer into the frame; may hold one, or what was made of one. */
const NONE = 1 << 30;
const MIXED = NONE + 1;
const OFFSET_LIMIT = 1 << 20;

/** By register: an offset from the frame pointer, NONE or MIXED. */
type Registers = Int32Array;

/** Null: a pointer into the frame goes where it is not followed. */
export function frameUse(program: Program, cfg: Cfg, facts: ProgramFacts): FrameUse | null {
  const entries = entryStates(program, cfg);
  const found = new Collector(program, facts);
  for (const [index, { first, end, exit }] of cfg.blocks.entries()) {
    const state = entries[index]!.slice();
    for (let at = first; at < end; at++) {
      const insn = program.insns[at]!;
      if (!found.look(insn, at, state)) return null;
      follow(insn, state);
      if (isWideImmediate(insn)) at++;
    }
    if (exit.kind === "exit" && state[0] !== NONE) return null;
    if (exit.kind === "branch" && comparesPointers(program.insns[exit.insnIndex]!, state)) return null;
  }
  return found;
}

/** Registers at the start of each block, to a fixed point. */
function entryStates(program: Program, cfg: Cfg): Registers[] {
  const start = new Int32Array(REGISTERS).fill(NONE);
  start[FRAME_POINTER] = 0;
  const entries: (Registers | undefined)[] = new Array(cfg.blocks.length);
  entries[0] = start;
  const isWaiting = new Uint8Array(cfg.blocks.length);
  let round: number[] = [0];
  while (round.length > 0) {
    const next: number[] = [];
    // in reverse postorder, so that most blocks are final when they are first looked at
    for (const index of round.sort((a, b) => a - b)) {
      isWaiting[index] = 0;
      const state = entries[index]!.slice();
      const { first, end } = cfg.blocks[index]!;
      for (let at = first; at < end; at++) {
        const insn = program.insns[at]!;
        follow(insn, state);
        if (isWideImmediate(insn)) at++;
      }
      for (const to of cfg.successors[index]!) {
        if (!join(entries, to, state) || isWaiting[to] === 1) continue;
        isWaiting[to] = 1;
        next.push(to);
      }
    }
    round = next;
  }
  return entries as Registers[];
}

/** True where it has changed. */
function join(entries: (Registers | undefined)[], block: number, state: Registers): boolean {
  const known = entries[block];
  if (known === undefined) {
    entries[block] = state.slice();
    return true;
  }
  let changed = false;
  for (let register = 0; register < REGISTERS; register++) {
    if (known[register] === state[register] || known[register] === MIXED) continue;
    known[register] = MIXED;
    changed = true;
  }
  return changed;
}

function follow(insn: Insn, state: Registers): void {
  switch (insnClass(insn)) {
    case CLASS.ALU:
    case CLASS.ALU64:
      state[insn.dst] = afterArithmetic(insn, state);
      return;
    case CLASS.LD:
      if (isWideImmediate(insn)) state[insn.dst] = NONE;
      else state.fill(NONE, 0, 6);
      return;
    case CLASS.LDX:
      state[insn.dst] = NONE;
      return;
    case CLASS.STX:
      if ((insn.opcode & 0xe0) !== MODE.ATOMIC) return;
      if (insn.imm === ATOMIC.CMPXCHG) state[0] = NONE;
      else if (insn.imm === ATOMIC.LOAD_ACQ) state[insn.dst] = NONE;
      else if ((insn.imm & ATOMIC.FETCH) !== 0) state[insn.src] = NONE;
      return;
    case CLASS.JMP:
      if ((insn.opcode & 0xf0) === JMP.CALL) state.fill(NONE, 0, 6);
      return;
  }
}

function afterArithmetic(insn: Insn, state: Registers): number {
  const operation = insn.opcode & 0xf0;
  const isRegister = (insn.opcode & SRC.X) !== 0 && operation !== ALU.END;
  const is64 = insnClass(insn) === CLASS.ALU64;
  const source = isRegister ? state[insn.src]! : NONE;
  if (operation === ALU.MOV) return source === NONE || (is64 && insn.off === 0) ? source : MIXED;
  const before = state[insn.dst]!;
  if (before === NONE && source === NONE) return NONE;
  const isSum = is64 && !isRegister && (operation === ALU.ADD || operation === ALU.SUB);
  if (!isSum || before === MIXED) return MIXED;
  const offset = before + (operation === ALU.ADD ? insn.imm : -insn.imm);
  return Math.abs(offset) < OFFSET_LIMIT ? offset : MIXED;
}

/** A comparison of two registers, or of what is no pointer any more. */
function comparesPointers(insn: Insn, state: Registers): boolean {
  if ((insn.opcode & 0xf0) === JMP.JCOND) return false;
  const isRegister = (insn.opcode & SRC.X) !== 0;
  return state[insn.dst] === MIXED || (isRegister && (state[insn.dst] !== NONE || state[insn.src] !== NONE));
}

class Collector implements FrameUse {
  readonly accesses: FrameAccess[] = [];
  readonly args: FrameArgument[] = [];
  readonly #program: Program;
  readonly #facts: ProgramFacts;

  constructor(program: Program, facts: ProgramFacts) {
    this.#program = program;
    this.#facts = facts;
  }

  /** False where a pointer gets away. `state`: before the instruction. */
  look(insn: Insn, insnIndex: number, state: Registers): boolean {
    switch (insnClass(insn)) {
      case CLASS.LDX:
        return this.#access(insn, insnIndex, state[insn.src]!, true);
      case CLASS.ST:
        return this.#access(insn, insnIndex, state[insn.dst]!, true);
      case CLASS.STX: {
        const isAtomic = (insn.opcode & 0xe0) === MODE.ATOMIC;
        const isLoad = isAtomic && insn.imm === ATOMIC.LOAD_ACQ;
        const [base, value] = isLoad ? [insn.src, insn.dst] : [insn.dst, insn.src];
        if (!isLoad && state[value] !== NONE) return false;
        if (isAtomic && insn.imm === ATOMIC.CMPXCHG && state[0] !== NONE) return false;
        return this.#access(insn, insnIndex, state[base]!, !isAtomic);
      }
      case CLASS.JMP:
        return (insn.opcode & 0xf0) !== JMP.CALL || this.#call(insn, insnIndex, state);
    }
    return true;
  }

  #access(insn: Insn, insnIndex: number, base: number, plain: boolean): boolean {
    if (base === NONE) return true;
    const bytes = SIZE_BYTES[insn.opcode & 0x18]!;
    if (base !== MIXED) this.accesses.push({ insnIndex, offset: base + insn.off, bytes, plain });
    return base !== MIXED;
  }

  #call(insn: Insn, insnIndex: number, state: Registers): boolean {
    if (insn.src === PSEUDO_CALL.SUBPROG) return [1, 2, 3, 4, 5].every((register) => state[register] === NONE);
    const kernelFunction = kernelFunctionOf(this.#program, insn);
    if (kernelFunction !== undefined) return this.#kernelCall(kernelFunction, insnIndex, state);
    const args = calleeOf(insn)?.args ?? null;
    if (args === null) return false;
    for (const [index, arg] of args.entries()) {
      const register = index + 1;
      const offset = state[register]!;
      if (offset === NONE) continue;
      const bytes = offset === MIXED ? null : this.#argumentBytes(args, index, insnIndex);
      if (bytes === null) return false;
      // of unknown length: all that lies above
      const length = bytes < 0 ? -offset : bytes;
      this.args.push({ insnIndex, register, kind: arg.is, offset, bytes: length, written: mayWrite(arg) });
    }
    return true;
  }

  /** Only the first argument may point into the frame, to an object of a size that the table has. */
  #kernelCall({ objectBytes }: NamedKernelFunction, insnIndex: number, state: Registers): boolean {
    const offset = state[1]!;
    if ([2, 3, 4, 5].some((register) => state[register] !== NONE)) return false;
    if (offset === NONE) return true;
    if (offset === MIXED || objectBytes === 0) return false;
    this.args.push({ insnIndex, register: 1, kind: "mem", offset, bytes: objectBytes, written: true });
    return true;
  }

  /** Bytes that a helper may touch behind its argument, -1: not known, null: it may keep the pointer. */
  #argumentBytes(args: readonly ArgSpec[], index: number, insnIndex: number): number | null {
    const arg = args[index]!;
    const facts = this.#facts.insns[insnIndex];
    const map = facts == null || facts.map === null ? undefined : this.#program.maps[facts.map];
    switch (arg.is) {
      case "mapKey":
        return map?.keySize ?? -1;
      case "mapValue":
        return map?.valueSize ?? -1;
      case "mem": {
        const size = args.findIndex(
          (other, at) => at > index && (other.is === "constSize" || other.is === "constSizeOrZero"),
        );
        return arg.size ?? Number(facts?.constants[size] ?? -1n);
      }
      default:
        return null;
    }
  }
}

const mayWrite = (arg: ArgSpec): boolean =>
  (arg.is === "mem" && arg.readOnly !== true) || (arg.is === "mapValue" && arg.uninit === true);
