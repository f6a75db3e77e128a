/** Follows every path through the program, instruction by instruction. Kernel: do_check(). */
import { CLASS, JMP, MODE, SIZE, SIZE_BYTES, SRC } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { Insn } from "../asm/instruction.ts";
import { checkAlu } from "./alu.ts";
import { checkAtomic } from "./atomic.ts";
import { checkCall } from "./call.ts";
import { jumpDistance } from "./cfg.ts";
import { isCovered } from "./checkpoint.ts";
import type { Env } from "./env.ts";
import { checkExit } from "./exit.ts";
import { reject } from "./failure.ts";
import { pushHistory } from "./history.ts";
import { checkConditionalJump } from "./jump.ts";
import { checkLegacyPacketLoad } from "./legacy-packet.ts";
import { checkWideImmediate } from "./load-immediate.ts";
import { checkMayGoto } from "./may-goto.ts";
import { checkAccess } from "./memory.ts";
import { requireReadable, requireWritable } from "./operands.ts";
import { endPath, popPath } from "./paths.ts";
import { notePointerUse } from "./pointer-use.ts";
import { Trace } from "./trace.ts";

/** What an instruction does to the path: goes on (env.insnIndex is set), returned to a caller, or ended. */
export type Step = "next" | "returned" | "ended";

/** Explores from env.state at env.insnIndex until no path is left. */
export function explore(env: Env): void {
  const trace = new Trace(env);
  env.previousIndex = -1;
  for (;;) {
    const { insnIndex } = env;
    env.historyEntry = null;
    env.recorder?.visit(env);
    countInsn(env);
    env.state.lastIndex = env.previousIndex;
    env.state.insnIndex = insnIndex;
    if (env.notes.prunePoint[insnIndex] && isCovered(env)) {
      trace.safe();
      if (!nextPath(env, trace)) return;
      continue;
    }
    if (env.notes.jumpPoint[insnIndex]) pushHistory(env);
    trace.before();
    env.facts.seen[insnIndex] = 1;
    env.stackLiveness.begin(insnIndex);
    const step = checkInsn(env, env.insns[insnIndex]!, trace);
    env.stackLiveness.commit();
    env.previousIndex = insnIndex;
    if (step === "returned") trace.pathChanged();
    if (step === "ended" && !nextPath(env, trace)) return;
  }
}

function nextPath(env: Env, trace: Trace): boolean {
  env.allScratched = true;
  env.stackLiveness.update(env.state);
  endPath(env);
  trace.pathChanged();
  return popPath(env);
}

function countInsn(env: Env): void {
  env.processedInsns++;
  if (env.processedInsns > LIMITS.processedInsns) {
    reject(env, "E2BIG", `BPF program is too large. Processed ${env.processedInsns} insn`);
  }
}

function checkInsn(env: Env, insn: Insn, trace: Trace): Step {
  switch (insn.opcode & 7) {
    case CLASS.ALU:
    case CLASS.ALU64:
      checkAlu(env, insn);
      break;
    case CLASS.LDX:
      checkLoad(env, insn);
      break;
    case CLASS.STX:
    case CLASS.ST:
      checkStore(env, insn);
      break;
    case CLASS.LD:
      return checkLoadSpecial(env, insn);
    default:
      return checkJump(env, insn, trace);
  }
  env.insnIndex++;
  return "next";
}

function checkLoad(env: Env, insn: Insn): void {
  requireReadable(env, insn.src);
  requireWritable(env, insn.dst);
  const { type } = env.register(insn.src);
  checkAccess(env, {
    address: insn.src,
    off: insn.off,
    size: SIZE_BYTES[insn.opcode & 0x18]!,
    write: false,
    register: insn.dst,
    strict: false,
    signed: (insn.opcode & 0xe0) === MODE.MEMSX,
  });
  notePointerUse(env, type, true);
}

function checkStore(env: Env, insn: Insn): void {
  const mode = insn.opcode & 0xe0;
  const fromRegister = (insn.opcode & 7) === CLASS.STX;
  if (fromRegister && mode === MODE.ATOMIC) {
    checkAtomic(env, insn);
    return;
  }
  if (mode !== MODE.MEM || (fromRegister ? insn.imm !== 0 : insn.src !== 0)) {
    reject(env, "EINVAL", `BPF_${fromRegister ? "STX" : "ST"} uses reserved fields`);
  }
  if (fromRegister) requireReadable(env, insn.src);
  requireReadable(env, insn.dst);
  const { type } = env.register(insn.dst);
  checkAccess(env, {
    address: insn.dst,
    off: insn.off,
    size: SIZE_BYTES[insn.opcode & 0x18]!,
    write: true,
    register: fromRegister ? insn.src : -1,
    strict: false,
    signed: false,
  });
  notePointerUse(env, type, false);
}

function checkLoadSpecial(env: Env, insn: Insn): Step {
  const mode = insn.opcode & 0xe0;
  if (mode === MODE.ABS || mode === MODE.IND) return checkLegacyPacketLoad(env, insn);
  if (mode !== MODE.IMM) reject(env, "EINVAL", "invalid BPF_LD mode");
  if ((insn.opcode & 0x18) !== SIZE.DW) reject(env, "EINVAL", "invalid BPF_LD_IMM insn");
  checkWideImmediate(env, insn);
  env.insnIndex += 2;
  return "next";
}

function checkJump(env: Env, insn: Insn, trace: Trace): Step {
  const operation = insn.opcode & 0xf0;
  const short = (insn.opcode & 7) === CLASS.JMP;
  const slot = env.insnIndex;
  env.processedJumps++;
  switch (operation) {
    case JMP.CALL:
      return checkCall(env, insn);
    case JMP.EXIT:
      if (insn.opcode & SRC.X || insn.imm !== 0 || insn.src !== 0 || insn.dst !== 0 || !short) {
        reject(env, "EINVAL", "BPF_EXIT uses reserved fields");
      }
      return checkExit(env);
    case JMP.JA:
      if (insn.opcode & SRC.X || insn.src !== 0 || insn.dst !== 0 || (short ? insn.imm : insn.off) !== 0) {
        reject(env, "EINVAL", "BPF_JA uses reserved fields");
      }
      env.insnIndex += 1 + jumpDistance(insn);
      return "next";
    case JMP.JCOND:
      checkMayGoto(env, insn);
      return "next";
    default:
      checkConditionalJump(env, insn);
      trace.afterJump(slot);
      return "next";
  }
}
