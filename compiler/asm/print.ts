/**
 * Instructions → text in the syntax of clang and llvm-objdump, which parse.ts reads back. Printing is total: a slot that
 * no text stands for (unknown opcode, reserved field set) becomes `.quad 0x…`, so any bytes survive the round trip.
 * The kernel's own notation (verifier log) is not made here.
 */
import { helperById } from "../../spec/helpers.ts";
import * as isa from "../../spec/isa.ts";
import { ownKfunc } from "../../spec/kfuncs.ts";
import { insnToQuad } from "./codec.ts";
import { type Insn, isWideImmediate, wideImmediate } from "./instruction.ts";
import { ATOMIC_NAMES, SIZE_NAMES } from "./names.ts";

export interface PrintOptions {
  /** "objdump": numbers in hexadecimal, jumps as offsets, helpers by number, exactly as llvm-objdump prints them */
  readonly style?: "plain" | "objdump";
  /** names by slot index, used for jumps, calls and function pointers */
  readonly labels?: ReadonlyMap<number, string>;
  /** map names by index */
  readonly maps?: readonly string[];
}

/** One instruction, at `index` of `insns`; the second slot of a 64-bit immediate belongs to the first. */
export function printInsn(insns: readonly Insn[], index: number, options: PrintOptions = {}): string {
  const insn = insns[index];
  if (insn === undefined) return "";
  return printKnown(new Printer(insns, index, options), insn) ?? `.quad 0x${insnToQuad(insn).toString(16)}`;
}

/** Slots that the instruction at `index` takes when printed: 2 for a well-formed 64-bit immediate, else 1. */
export function printedSlots(insns: readonly Insn[], index: number): 1 | 2 {
  return isPrintableWide(insns, index) ? 2 : 1;
}

/**
 * A whole program, an instruction a line, with a label (`L3:` by slot index unless `options.labels` names it) wherever
 * a jump, a call or a function pointer leads. `functions` are labelled too.
 */
export function printProgram(insns: readonly Insn[], options: PrintOptions = {}): string {
  const labels = options.style === "objdump" ? new Map<number, string>() : labelTargets(insns, options.labels);
  let text = "";
  for (let index = 0; index < insns.length; index += printedSlots(insns, index)) {
    const label = labels.get(index);
    if (label !== undefined) text += `${label}:\n`;
    text += `  ${printInsn(insns, index, { ...options, labels })}\n`;
  }
  return text;
}

/** Only the first slot of an instruction can carry a label; a jump into the middle of one stays a number. */
function labelTargets(insns: readonly Insn[], given: ReadonlyMap<number, string> | undefined): Map<number, string> {
  const starts = new Set<number>();
  for (let index = 0; index < insns.length; index += printedSlots(insns, index)) starts.add(index);
  const labels = new Map<number, string>();
  for (const [index, name] of given ?? []) if (starts.has(index)) labels.set(index, name);
  const used = new Set(labels.values());
  for (const index of starts) {
    const target = targetOf(insns[index]!, index);
    if (target === null || !starts.has(target) || labels.has(target)) continue;
    let name = `L${target}`;
    while (used.has(name)) name = `${name}_`;
    labels.set(target, name);
    used.add(name);
  }
  return labels;
}

/** The slot that a jump, subprogram call or function pointer at `index` leads to; null for everything else. */
export function targetOf(insn: Insn, index: number): number | null {
  const kind = insn.opcode & 7;
  if (isWideImmediate(insn)) return insn.src === isa.PSEUDO_LD.FUNC ? index + 1 + insn.imm : null;
  if (kind !== isa.CLASS.JMP && kind !== isa.CLASS.JMP32) return null;
  const operation = insn.opcode & 0xf0;
  if (operation === isa.JMP.EXIT) return null;
  if (operation === isa.JMP.CALL) return insn.src === isa.PSEUDO_CALL.SUBPROG ? index + 1 + insn.imm : null;
  if (operation === isa.JMP.JA && insn.opcode & isa.SRC.X) return null;
  return index + 1 + (operation === isa.JMP.JA && kind === isa.CLASS.JMP32 ? insn.imm : insn.off);
}

/** What printing one instruction needs: where it is and how names and numbers are to look. */
class Printer {
  readonly insns: readonly Insn[];
  readonly index: number;
  readonly options: PrintOptions;
  constructor(insns: readonly Insn[], index: number, options: PrintOptions) {
    this.insns = insns;
    this.index = index;
    this.options = options;
  }
  number(value: number): string {
    if (this.options.style !== "objdump") return String(value);
    return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
  }
  signed(value: number): string {
    return value < 0 ? this.number(value) : `+${this.number(value)}`;
  }
  memory(register: number, off: number): string {
    return off < 0 ? `r${register} - ${this.number(-off)}` : `r${register} + ${this.number(off)}`;
  }
  /** A label where there is one, else the distance from the next slot. */
  target(distance: number, before = ""): string {
    return this.options.labels?.get(this.index + 1 + distance) ?? before + this.signed(distance);
  }
  map(index: number): string {
    return this.options.maps?.[index] ?? String(index);
  }
}

/** Null where the slot has no text. */
function printKnown(printer: Printer, insn: Insn): string | null {
  switch (insn.opcode & 7) {
    case isa.CLASS.LD:
      return printLoadImmediate(printer, insn);
    case isa.CLASS.LDX:
      return printLoad(printer, insn);
    case isa.CLASS.ST:
      return printStoreImmediate(printer, insn);
    case isa.CLASS.STX:
      return printStore(printer, insn);
    case isa.CLASS.ALU:
    case isa.CLASS.ALU64:
      return printAlu(printer, insn);
    default:
      return printJump(printer, insn);
  }
}

function isPrintableWide(insns: readonly Insn[], index: number): boolean {
  const insn = insns[index];
  const second = insns[index + 1];
  if (insn === undefined || second === undefined || !isWideImmediate(insn) || insn.off !== 0) return false;
  if (second.opcode !== 0 || second.dst !== 0 || second.src !== 0 || second.off !== 0) return false;
  switch (insn.src) {
    case isa.PSEUDO_LD.NONE:
      return true;
    case isa.PSEUDO_LD.MAP_FD:
    case isa.PSEUDO_LD.MAP_IDX:
      return insn.imm >= 0 && second.imm === 0;
    case isa.PSEUDO_LD.MAP_VALUE:
    case isa.PSEUDO_LD.MAP_IDX_VALUE:
      return insn.imm >= 0;
    case isa.PSEUDO_LD.BTF_ID:
      return insn.imm >= 0 && second.imm >= 0;
    case isa.PSEUDO_LD.FUNC:
      return second.imm === 0;
    default:
      return false;
  }
}

function printLoadImmediate(printer: Printer, insn: Insn): string | null {
  if (isWideImmediate(insn)) {
    if (!isPrintableWide(printer.insns, printer.index)) return null;
    return `r${insn.dst} = ${printWideSource(printer, insn)} ll`;
  }
  const mode = insn.opcode & 0xe0;
  const size = insn.opcode & 0x18;
  if (insn.dst !== 0 || insn.off !== 0 || size === isa.SIZE.DW) return null;
  const access = `r0 = *(u${SIZE_NAMES[size]} *)skb`;
  if (mode === isa.MODE.ABS && insn.src === 0) return `${access}[${printer.number(insn.imm)}]`;
  if (mode === isa.MODE.IND && insn.imm === 0) return `${access}[r${insn.src}]`;
  // With an immediate added to the register, which clang cannot write.
  if (mode === isa.MODE.IND) return `${access}[${printer.memory(insn.src, insn.imm)}]`;
  return null;
}

function printWideSource(printer: Printer, insn: Insn): string {
  const second = printer.insns[printer.index + 1]!.imm;
  switch (insn.src) {
    case isa.PSEUDO_LD.NONE: {
      const value = BigInt.asIntN(64, wideImmediate(printer.insns, printer.index));
      return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
    }
    case isa.PSEUDO_LD.MAP_FD:
      return `map[${printer.map(insn.imm)}]`;
    case isa.PSEUDO_LD.MAP_VALUE:
      return `map[${printer.map(insn.imm)}][${second}]`;
    case isa.PSEUDO_LD.BTF_ID:
      return second === 0 ? `btf[${insn.imm}]` : `btf[${insn.imm}][${second}]`;
    case isa.PSEUDO_LD.FUNC:
      return `func ${printer.target(insn.imm, "pc")}`;
    case isa.PSEUDO_LD.MAP_IDX:
      return `map_idx[${insn.imm}]`;
    default:
      return `map_idx[${insn.imm}][${second}]`;
  }
}

function printLoad(printer: Printer, insn: Insn): string | null {
  const mode = insn.opcode & 0xe0;
  const size = insn.opcode & 0x18;
  if (insn.imm !== 0) return null;
  const place = `${SIZE_NAMES[size]} *)(${printer.memory(insn.src, insn.off)})`;
  if (mode === isa.MODE.MEM) return `r${insn.dst} = *(u${place}`;
  if (mode === isa.MODE.MEMSX && size !== isa.SIZE.DW) return `r${insn.dst} = *(s${place}`;
  return null;
}

function printStoreImmediate(printer: Printer, insn: Insn): string | null {
  if ((insn.opcode & 0xe0) !== isa.MODE.MEM || insn.src !== 0) return null;
  const size = SIZE_NAMES[insn.opcode & 0x18];
  return `*(u${size} *)(${printer.memory(insn.dst, insn.off)}) = ${printer.number(insn.imm)}`;
}

function printStore(printer: Printer, insn: Insn): string | null {
  const mode = insn.opcode & 0xe0;
  const size = insn.opcode & 0x18;
  if (mode === isa.MODE.MEM && insn.imm === 0)
    return `*(u${SIZE_NAMES[size]} *)(${printer.memory(insn.dst, insn.off)}) = r${insn.src}`;
  return mode === isa.MODE.ATOMIC ? printAtomic(printer, insn) : null;
}

function printAtomic(printer: Printer, insn: Insn): string | null {
  const size = insn.opcode & 0x18;
  const wide = size === isa.SIZE.DW;
  const source = `${wide ? "r" : "w"}${insn.src}`;
  const typed = (register: number) => `(u${SIZE_NAMES[size]} *)(${printer.memory(register, insn.off)})`;
  if (insn.imm === isa.ATOMIC.LOAD_ACQ) return `${wide ? "r" : "w"}${insn.dst} = load_acquire(${typed(insn.src)})`;
  if (insn.imm === isa.ATOMIC.STORE_REL) return `store_release(${typed(insn.dst)}, ${source})`;
  if (size !== isa.SIZE.W && !wide) return null;
  const place = printer.memory(insn.dst, insn.off);
  const suffix = wide ? "_64" : "32_32";
  if (insn.imm === isa.ATOMIC.XCHG) return `${source} = xchg${suffix}(${place}, ${source})`;
  if (insn.imm === isa.ATOMIC.CMPXCHG) {
    const expected = wide ? "r0" : "w0";
    return `${expected} = cmpxchg${suffix}(${place}, ${expected}, ${source})`;
  }
  const operation = ATOMIC_NAMES[insn.imm & ~isa.ATOMIC.FETCH];
  if (operation === undefined) return null;
  if (insn.imm & isa.ATOMIC.FETCH) return `${source} = atomic_fetch_${operation}(${typed(insn.dst)}, ${source})`;
  return `lock *${typed(insn.dst)} ${isa.ALU_SYMBOL[insn.imm]} ${source}`;
}

function printAlu(printer: Printer, insn: Insn): string | null {
  const operation = insn.opcode & 0xf0;
  const fromRegister = (insn.opcode & isa.SRC.X) !== 0;
  const wide = (insn.opcode & 7) === isa.CLASS.ALU64;
  const letter = wide ? "r" : "w";
  const target = `${letter}${insn.dst}`;
  if (operation === isa.ALU.END) return printSwap(insn);
  if (operation === isa.ALU.NEG)
    return fromRegister || insn.src !== 0 || insn.off !== 0 || insn.imm !== 0 ? null : `${target} = -${target}`;
  if (fromRegister ? insn.imm !== 0 : insn.src !== 0)
    return operation === isa.ALU.MOV && wide && fromRegister ? printAddressSpaceCast(printer, insn) : null;
  const symbol = isa.ALU_SYMBOL[operation];
  if (symbol === undefined) return null;
  const source = fromRegister ? `${letter}${insn.src}` : printer.number(insn.imm);
  if (insn.off === 0) return `${target} ${symbol} ${source}`;
  if (insn.off === 1 && (operation === isa.ALU.DIV || operation === isa.ALU.MOD))
    return `${target} s${symbol} ${source}`;
  const extends_ = insn.off === 8 || insn.off === 16 || (insn.off === 32 && wide);
  if (operation === isa.ALU.MOV && fromRegister && extends_) return `${target} = (s${insn.off})${source}`;
  return operation === isa.ALU.MOV && wide && fromRegister ? printAddressSpaceCast(printer, insn) : null;
}

function printSwap(insn: Insn): string | null {
  const unconditional = (insn.opcode & 7) === isa.CLASS.ALU64;
  const toBig = (insn.opcode & isa.SRC.X) !== 0;
  if (insn.src !== 0 || insn.off !== 0 || ![16, 32, 64].includes(insn.imm) || (unconditional && toBig)) return null;
  return `r${insn.dst} = ${unconditional ? "bswap" : toBig ? "be" : "le"}${insn.imm} r${insn.dst}`;
}

/** imm holds the destination's address space in its upper half and the source's in its lower. */
function printAddressSpaceCast(printer: Printer, insn: Insn): string | null {
  if (insn.off !== 1) return null;
  const spaces = `${printer.number(insn.imm >>> 16)}, ${printer.number(insn.imm & 0xffff)}`;
  return `r${insn.dst} = addr_space_cast(r${insn.src}, ${spaces})`;
}

function printJump(printer: Printer, insn: Insn): string | null {
  const operation = insn.opcode & 0xf0;
  const fromRegister = (insn.opcode & isa.SRC.X) !== 0;
  const narrow = (insn.opcode & 7) === isa.CLASS.JMP32;
  const letter = narrow ? "w" : "r";
  const compare = isa.JMP_SYMBOL[operation];
  if (compare !== undefined) {
    if (fromRegister ? insn.imm !== 0 : insn.src !== 0) return null;
    const source = fromRegister ? `${letter}${insn.src}` : printer.number(insn.imm);
    return `if ${letter}${insn.dst} ${compare} ${source} goto ${printer.target(insn.off)}`;
  }
  if (operation === isa.JMP.CALL && !narrow) return printCall(printer, insn);
  if (operation === isa.JMP.JA && fromRegister)
    return narrow || insn.src !== 0 || insn.off !== 0 || insn.imm !== 0 ? null : `gotox r${insn.dst}`;
  if (insn.dst !== 0 || insn.src !== 0 || fromRegister) return null;
  if (operation === isa.JMP.JA && narrow) return insn.off === 0 ? `gotol ${printer.target(insn.imm)}` : null;
  if (insn.imm !== 0 || narrow) return null;
  if (operation === isa.JMP.JA) return `goto ${printer.target(insn.off)}`;
  if (operation === isa.JMP.JCOND) return `may_goto ${printer.target(insn.off)}`;
  return operation === isa.JMP.EXIT && insn.off === 0 ? "exit" : null;
}

function printCall(printer: Printer, insn: Insn): string | null {
  if (insn.opcode & isa.SRC.X) return insn.src === 0 && insn.off === 0 && insn.imm === 0 ? `callx r${insn.dst}` : null;
  if (insn.dst !== 0) return null;
  if (insn.src === isa.PSEUDO_CALL.KFUNC && insn.imm >= 0 && insn.off >= 0)
    return insn.off === 0 ? `call kfunc[${insn.imm}]` : `call kfunc[${insn.imm}][${insn.off}]`;
  const own = insn.src === isa.PSEUDO_CALL.KFUNC ? ownKfunc(insn.off, insn.imm) : undefined;
  if (own !== undefined) return `call ${own.name}`;
  if (insn.off !== 0) return null;
  if (insn.src === isa.PSEUDO_CALL.SUBPROG)
    return printer.options.style === "objdump"
      ? `call ${printer.number(insn.imm)}`
      : `call ${printer.target(insn.imm, "pc")}`;
  if (insn.src !== isa.PSEUDO_CALL.HELPER) return null;
  const name = printer.options.style === "objdump" ? undefined : helperById(insn.imm)?.name;
  return `call ${name ?? printer.number(insn.imm)}`;
}
