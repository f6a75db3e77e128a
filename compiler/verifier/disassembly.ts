/** Instructions as the kernel's log writes them: `(61) r2 = *(u32 *)(r1 +0)`. Kernel: print_bpf_insn(), kernel/bpf/disasm.c. */
import { helperName } from "../../spec/helper-names.ts";
import { ALU, ALU_SYMBOL, ATOMIC, CLASS, JMP, JMP_SYMBOL, MODE, PSEUDO_CALL, SIZE, SRC } from "../../spec/isa.ts";
import { type Insn, isWideImmediate, wideImmediate } from "../asm/instruction.ts";
import type { Env } from "./env.ts";
import { kernelFunctionOf } from "./kernel-function.ts";

const SIZES: Readonly<Record<number, string>> = {
  [SIZE.W]: "32",
  [SIZE.H]: "16",
  [SIZE.B]: "8",
  [SIZE.DW]: "64",
};

export function insnText(env: Env, index: number): string {
  const insn = env.insns[index]!;
  const opcode = insn.opcode.toString(16).padStart(2, "0");
  return `(${opcode}) ${bodyText(env, insn, index)}`;
}

function bodyText(env: Env, insn: Insn, index: number): string {
  switch (insn.opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64:
      return aluText(insn);
    case CLASS.LDX:
      return `r${insn.dst} = ${memoryText(insn, insn.src, (insn.opcode & 0xe0) === MODE.MEMSX ? "s" : "u")}`;
    case CLASS.ST:
      return `${memoryText(insn, insn.dst)} = ${insn.imm}`;
    case CLASS.STX:
      return (insn.opcode & 0xe0) === MODE.ATOMIC ? atomicText(insn) : `${memoryText(insn, insn.dst)} = r${insn.src}`;
    case CLASS.LD:
      return loadText(env, insn, index);
    default:
      return jumpText(env, insn);
  }
}

const signed = (value: number): string => (value < 0 ? `${value}` : `+${value}`);
const memoryText = (insn: Insn, base: number, sign = "u"): string => `*${addressText(insn, base, sign)}`;
const addressText = (insn: Insn, base: number, sign = "u"): string =>
  `(${sign}${SIZES[insn.opcode & 0x18]} *)(r${base} ${signed(insn.off)})`;

const unknownText = (insn: Insn): string => `BUG_${insn.opcode.toString(16)}`;

function aluText(insn: Insn): string {
  const operation = insn.opcode & 0xf0;
  const wide = (insn.opcode & 7) === CLASS.ALU64;
  const letter = wide ? "r" : "w";
  if (operation === ALU.END) {
    const swap = wide ? "bswap" : insn.opcode & SRC.X ? "be" : "le";
    return `r${insn.dst} = ${swap}${insn.imm} r${insn.dst}`;
  }
  if (operation === ALU.NEG) return `${letter}${insn.dst} = -${letter}${insn.dst}`;
  if (ALU_SYMBOL[operation] === undefined) return unknownText(insn);
  if (operation === ALU.MOV && wide && insn.off === 1 && insn.opcode & SRC.X) {
    return `r${insn.dst} = addr_space_cast(r${insn.src}, ${insn.imm >>> 16}, ${insn.imm & 0xffff})`;
  }
  const isSigned = insn.off === 1 && (operation === ALU.DIV || operation === ALU.MOD);
  const symbol = `${isSigned ? "s" : ""}${ALU_SYMBOL[operation]}`;
  if (!(insn.opcode & SRC.X)) return `${letter}${insn.dst} ${symbol} ${insn.imm}`;
  const cast = operation === ALU.MOV && insn.off !== 0 ? `(s${insn.off})` : "";
  return `${letter}${insn.dst} ${symbol} ${cast}${letter}${insn.src}`;
}

const ATOMIC_NAMES: Readonly<Record<number, string>> = {
  [ATOMIC.ADD]: "add",
  [ATOMIC.AND]: "and",
  [ATOMIC.OR]: "or",
  [ATOMIC.XOR]: "xor",
};

function atomicText(insn: Insn): string {
  const wide = (insn.opcode & 0x18) === SIZE.DW ? "64" : "";
  const address = addressText(insn, insn.dst);
  switch (insn.imm) {
    case ATOMIC.CMPXCHG:
      return `r0 = atomic${wide}_cmpxchg(${address}, r0, r${insn.src})`;
    case ATOMIC.XCHG:
      return `r${insn.src} = atomic${wide}_xchg(${address}, r${insn.src})`;
    case ATOMIC.LOAD_ACQ:
      return `r${insn.dst} = load_acquire(${addressText(insn, insn.src)})`;
    case ATOMIC.STORE_REL:
      return `store_release(${address}, r${insn.src})`;
  }
  const operation = insn.imm & ~ATOMIC.FETCH;
  const name = ATOMIC_NAMES[operation];
  if (name === undefined) return unknownText(insn);
  if (insn.imm & ATOMIC.FETCH) return `r${insn.src} = atomic${wide}_fetch_${name}(${address}, r${insn.src})`;
  return `lock *${address} ${ALU_SYMBOL[operation]} r${insn.src}`;
}

function loadText(env: Env, insn: Insn, index: number): string {
  if (isWideImmediate(insn)) return `r${insn.dst} = 0x${wideImmediate(env.insns, index).toString(16)}`;
  const size = SIZES[insn.opcode & 0x18];
  if ((insn.opcode & 0xe0) === MODE.ABS) return `r0 = *(u${size} *)skb[${insn.imm}]`;
  return `r0 = *(u${size} *)skb[r${insn.src} + ${insn.imm}]`;
}

function jumpText(env: Env, insn: Insn): string {
  const letter = (insn.opcode & 7) === CLASS.JMP32 ? "w" : "r";
  switch (insn.opcode & 0xf0) {
    case JMP.CALL:
      if (insn.src === PSEUDO_CALL.SUBPROG) return `call pc${signed(insn.imm)}`;
      return `call ${calledName(env, insn)}#${insn.imm}`;
    case JMP.EXIT:
      return "exit";
    case JMP.JA:
      return letter === "w" ? `gotol pc${signed(insn.imm)}` : `goto pc${signed(insn.off)}`;
    case JMP.JCOND:
      return `may_goto pc${signed(insn.off)}`;
  }
  if (JMP_SYMBOL[insn.opcode & 0xf0] === undefined) return unknownText(insn);
  const right = insn.opcode & SRC.X ? `${letter}${insn.src}` : `0x${(insn.imm >>> 0).toString(16)}`;
  return `if ${letter}${insn.dst} ${JMP_SYMBOL[insn.opcode & 0xf0]} ${right} goto pc${signed(insn.off)}`;
}

function calledName(env: Env, insn: Insn): string {
  if (insn.src === PSEUDO_CALL.HELPER) return helperName(insn.imm);
  return kernelFunctionOf(env, insn)?.name ?? "kernel-function";
}
