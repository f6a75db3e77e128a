/**
 * Encodings and jumps of a program that no verifier has seen. A verified program has passed the verifier's own checks;
 * here the same faults become the same VerifierError, without exploring anything.
 */
import { UnsupportedError, VerifierError } from "../../base/errors.ts";
import { ALU, ATOMIC, CLASS, FRAME_POINTER, JMP, MODE, PSEUDO_CALL, PSEUDO_LD, SIZE, SRC } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import { type Insn, insnClass, isWideImmediate } from "../asm/instruction.ts";
import type { Program } from "../program.ts";
import { jumpTarget } from "./cfg.ts";

/** Throws VerifierError for what is not a program, UnsupportedError for what needs a verifier to run. */
export function checkEncoding(program: Program): void {
  const { insns } = program;
  if (insns.length === 0 || insns.length > LIMITS.programInsns)
    reject(program, 0, `invalid number of instructions ${insns.length}`);
  // The second slot of a 64-bit immediate: no jump may lead to it.
  const isSecondSlot = new Uint8Array(insns.length);
  for (let index = 0; index < insns.length; index++) {
    checkInstruction(program, index);
    if (isWideImmediate(insns[index]!)) isSecondSlot[++index] = 1;
  }
  checkJumps(program, isSecondSlot);
}

function reject(program: Program, insnIndex: number, message: string): never {
  throw new VerifierError(message, {
    errno: "EINVAL",
    log: `${message}\n`,
    processedInsns: 0,
    where: { program: program.name, insnIndex },
  });
}

function refuse(program: Program, insnIndex: number, feature: string): never {
  const message = `${feature} in a program that is not verified`;
  throw new UnsupportedError("UNSUPPORTED_FEATURE", message, message, { where: { program: program.name, insnIndex } });
}

function checkInstruction(program: Program, index: number): void {
  const insn = program.insns[index]!;
  for (const register of [insn.dst, insn.src])
    if (register > FRAME_POINTER && !isWideImmediate(insn)) reject(program, index, `R${register} is invalid`);
  switch (insnClass(insn)) {
    case CLASS.ALU:
    case CLASS.ALU64:
      checkAlu(program, index, insn);
      break;
    case CLASS.JMP:
    case CLASS.JMP32:
      checkJump(program, index, insn);
      break;
    case CLASS.LD:
      checkImmediate(program, index, insn);
      break;
    default:
      checkMemory(program, index, insn);
  }
}

const unknownOpcode = (program: Program, index: number, insn: Insn): never =>
  reject(program, index, `unknown opcode ${insn.opcode.toString(16).padStart(2, "0")}`);

function checkAlu(program: Program, index: number, insn: Insn): void {
  const operation = insn.opcode & 0xf0;
  const isRegister = (insn.opcode & SRC.X) !== 0;
  const is64 = insnClass(insn) === CLASS.ALU64;
  const reserved = (): never => reject(program, index, "BPF_ALU uses reserved fields");
  if (insn.dst === FRAME_POINTER) reject(program, index, "frame pointer is read only");
  switch (operation) {
    case ALU.END:
      if (is64 && isRegister) unknownOpcode(program, index, insn);
      if (insn.src !== 0 || insn.off !== 0 || ![16, 32, 64].includes(insn.imm)) reserved();
      return;
    case ALU.NEG:
      if (isRegister) unknownOpcode(program, index, insn);
      if (insn.src !== 0 || insn.off !== 0 || insn.imm !== 0) reserved();
      return;
    case ALU.MOV:
      if (isRegister && insn.imm !== 0) {
        if (is64 && insn.off === 1) refuse(program, index, "address space cast");
        reserved();
      }
      if (isRegister ? !(is64 ? [0, 8, 16, 32] : [0, 8, 16]).includes(insn.off) : insn.src !== 0 || insn.off !== 0)
        reserved();
      return;
    case ALU.DIV:
    case ALU.MOD:
      if (insn.off !== 0 && insn.off !== 1) reserved();
      if (isRegister ? insn.imm !== 0 : insn.src !== 0) reserved();
      if (!isRegister && insn.imm === 0) reject(program, index, "div by zero");
      return;
    case 0xe0:
    case 0xf0:
      unknownOpcode(program, index, insn);
  }
  if (insn.off !== 0 || (isRegister ? insn.imm !== 0 : insn.src !== 0)) reserved();
  const isShift = operation === ALU.LSH || operation === ALU.RSH || operation === ALU.ARSH;
  if (isShift && !isRegister && (insn.imm < 0 || insn.imm >= (is64 ? 64 : 32)))
    reject(program, index, `invalid shift ${insn.imm}`);
}

function checkJump(program: Program, index: number, insn: Insn): void {
  const operation = insn.opcode & 0xf0;
  const isRegister = (insn.opcode & SRC.X) !== 0;
  const is64 = insnClass(insn) === CLASS.JMP;
  const reserved = (name: string): never => reject(program, index, `${name} uses reserved fields`);
  switch (operation) {
    case JMP.CALL:
      if (!is64 || isRegister) unknownOpcode(program, index, insn);
      if (insn.src > PSEUDO_CALL.KFUNC || insn.dst !== 0) reserved("BPF_CALL");
      if (insn.src === PSEUDO_CALL.KFUNC) refuse(program, index, "a call of a kernel function");
      if (insn.src === PSEUDO_CALL.HELPER) refuse(program, index, "a call of a helper");
      if (insn.off !== 0) reserved("BPF_CALL");
      return;
    case JMP.EXIT:
      if (!is64 || isRegister) unknownOpcode(program, index, insn);
      if (insn.src !== 0 || insn.dst !== 0 || insn.imm !== 0 || insn.off !== 0) reserved("BPF_EXIT");
      return;
    case JMP.JA:
      if (isRegister) unknownOpcode(program, index, insn);
      if (insn.src !== 0 || insn.dst !== 0 || (is64 ? insn.imm : insn.off) !== 0) reserved("BPF_JA");
      return;
    case JMP.JCOND:
      if (!is64 || isRegister) unknownOpcode(program, index, insn);
      if (insn.src !== 0 || insn.dst !== 0 || insn.imm !== 0)
        reject(program, index, `invalid may_goto imm ${insn.imm}`);
      return;
    case 0xf0:
      unknownOpcode(program, index, insn);
  }
  if (isRegister ? insn.imm !== 0 : insn.src !== 0) reserved("BPF_JMP/JMP32");
}

function checkImmediate(program: Program, index: number, insn: Insn): void {
  if (!isWideImmediate(insn)) {
    const mode = insn.opcode & 0xe0;
    if ((mode === MODE.ABS || mode === MODE.IND) && (insn.opcode & 0x18) !== SIZE.DW)
      reject(program, index, "BPF_LD_[ABS|IND] instructions not allowed for this program type");
    unknownOpcode(program, index, insn);
  }
  const second = program.insns[index + 1];
  if (second === undefined || second.opcode !== 0 || second.dst !== 0 || second.src !== 0 || second.off !== 0)
    reject(program, index, "invalid bpf_ld_imm64 insn");
  if (insn.dst > FRAME_POINTER) reject(program, index, `R${insn.dst} is invalid`);
  if (insn.dst === FRAME_POINTER) reject(program, index, "frame pointer is read only");
  if (insn.off !== 0) reject(program, index, "BPF_LD_IMM64 uses reserved fields");
  if (insn.src > PSEUDO_LD.MAP_IDX_VALUE) reject(program, index, "unrecognized bpf_ld_imm64 insn");
  if (insn.src !== PSEUDO_LD.NONE) refuse(program, index, "an address of a map, function or variable");
}

function checkMemory(program: Program, index: number, insn: Insn): void {
  const class_ = insnClass(insn);
  const mode = insn.opcode & 0xe0;
  const size = insn.opcode & 0x18;
  if (mode === MODE.PROBE_MEM32) refuse(program, index, "an arena access");
  if (class_ === CLASS.LDX) {
    if (mode !== MODE.MEM && (mode !== MODE.MEMSX || size === SIZE.DW)) unknownOpcode(program, index, insn);
    if (insn.imm !== 0) reject(program, index, "BPF_LDX uses reserved fields");
    if (insn.dst === FRAME_POINTER) reject(program, index, "frame pointer is read only");
    return;
  }
  if (class_ === CLASS.STX && mode === MODE.ATOMIC) {
    checkAtomic(program, index, insn);
    return;
  }
  if (mode !== MODE.MEM) unknownOpcode(program, index, insn);
  if (class_ === CLASS.ST ? insn.src !== 0 : insn.imm !== 0)
    reject(program, index, `${class_ === CLASS.ST ? "BPF_ST" : "BPF_STX"} uses reserved fields`);
}

function checkAtomic(program: Program, index: number, insn: Insn): void {
  const size = insn.opcode & 0x18;
  const invalid = (): never =>
    reject(program, index, `BPF_ATOMIC uses invalid atomic opcode ${(insn.imm >>> 0).toString(16).padStart(2, "0")}`);
  if (insn.imm === ATOMIC.STORE_REL) return;
  if (insn.imm !== ATOMIC.LOAD_ACQ && size !== SIZE.W && size !== SIZE.DW)
    reject(program, index, "invalid atomic operand size");
  switch (insn.imm) {
    case ATOMIC.ADD:
    case ATOMIC.OR:
    case ATOMIC.AND:
    case ATOMIC.XOR:
    case ATOMIC.CMPXCHG:
      return;
    case ATOMIC.LOAD_ACQ:
      if (insn.dst === FRAME_POINTER) reject(program, index, "frame pointer is read only");
      return;
    case ATOMIC.ADD | ATOMIC.FETCH:
    case ATOMIC.OR | ATOMIC.FETCH:
    case ATOMIC.AND | ATOMIC.FETCH:
    case ATOMIC.XOR | ATOMIC.FETCH:
    case ATOMIC.XCHG:
      if (insn.src === FRAME_POINTER) reject(program, index, "frame pointer is read only");
      return;
  }
  invalid();
}

/** Every jump stays in its function and leads to an instruction; every function ends in a jump or an exit. */
function checkJumps(program: Program, isSecondSlot: Uint8Array): void {
  const { insns } = program;
  const starts = new Set(program.functions.map((entry) => entry.insnIndex));
  starts.add(0);
  const ordered = [...starts].sort((a, b) => a - b);
  ordered.forEach((first, position) => {
    const end = ordered[position + 1] ?? insns.length;
    if (!(first >= 0 && first < insns.length) || isSecondSlot[first] === 1)
      reject(program, 0, `a function starts at ${first}, which is no instruction`);
    for (let index = first; index < end; index++) {
      if (isSecondSlot[index] === 1) continue;
      const target = jumpTarget(program, index);
      if (target !== null && !(target >= first && target < end && isSecondSlot[target] === 0))
        reject(program, index, `jump out of range from insn ${index} to ${target}`);
      const insn = insns[index]!;
      if (insn.opcode === (CLASS.JMP | JMP.CALL) && !starts.has(index + 1 + insn.imm))
        reject(program, index, `call to invalid destination ${index + 1 + insn.imm}`);
    }
    const last = insns[isSecondSlot[end - 1] === 1 ? end - 2 : end - 1]!;
    const operation = last.opcode & 0xf0;
    const leaves =
      last.opcode === (CLASS.JMP | JMP.EXIT) ||
      ((insnClass(last) === CLASS.JMP || insnClass(last) === CLASS.JMP32) && operation === JMP.JA);
    if (!leaves) reject(program, end - 1, "last insn is not an exit or jmp");
  });
}
