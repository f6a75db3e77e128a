/** Conditional jumps: which ways are possible and what each teaches. Kernel: check_cond_jmp_op(). */
import { CLASS, JMP, SRC } from "../../spec/isa.ts";
import { LIMITS } from "../../spec/limits.ts";
import type { Insn } from "../asm/instruction.ts";
import { isBranchTaken, refine as refineScalars, refineSelf } from "./branch.ts";
import { isTrusted } from "./btf-match.ts";
import type { Env } from "./env.ts";
import { OUTCOME } from "./facts.ts";
import { reject } from "./failure.ts";
import { pushHistory } from "./history.ts";
import { collectLinked, syncLinked } from "./linked.ts";
import { learnNullness, notNull } from "./nullness.ts";
import { requireReadable } from "./operands.ts";
import { learnPacketRange, packetBranchTaken } from "./packet.ts";
import { pushPath } from "./paths.ts";
import { requestPrecision } from "./precision.ts";
import { baseType, FLAG, isAnyPacketPointer, knownReg, mayBeNull, REG, type RegState, withValue } from "./register.ts";
import { constantOf, U32_MAX } from "./scalar.ts";
import { HISTORY, type Place, type State } from "./state.ts";

const VARIABLE_LIMIT = BigInt(LIMITS.variableOffset);

/** Sets env.insnIndex to the instruction that the current path goes on at; puts the other one off. */
export function checkConditionalJump(env: Env, insn: Insn): void {
  const operation = insn.opcode & 0xf0;
  const fromRegister = (insn.opcode & SRC.X) !== 0;
  const in32Bits = (insn.opcode & 7) === CLASS.JMP32;
  requireOperands(env, insn, fromRegister);
  const left = env.register(insn.dst);
  const right = fromRegister ? env.register(insn.src) : knownReg(BigInt.asUintN(64, BigInt(insn.imm)));
  noteStackOperands(env, left, right);

  const known = taken(left, right, operation, in32Bits);
  if (known >= 0) {
    if (left.type === REG.SCALAR) requestPrecision(env, insn.dst);
    if (fromRegister && right.type === REG.SCALAR) requestPrecision(env, insn.src);
    env.facts.branch(env.insnIndex, known === 1 ? OUTCOME.TAKEN : OUTCOME.FALLTHROUGH);
    env.insnIndex += 1 + (known === 1 ? insn.off : 0);
    return;
  }
  env.facts.branch(env.insnIndex, OUTCOME.TAKEN | OUTCOME.FALLTHROUGH);
  splitPaths(env, insn, operation, fromRegister, in32Bits);
}

function requireOperands(env: Env, insn: Insn, fromRegister: boolean): void {
  requireReadable(env, insn.dst);
  if ((fromRegister ? insn.imm : insn.src) !== 0) reject(env, "EINVAL", "BPF_JMP/JMP32 uses reserved fields");
  if (fromRegister) requireReadable(env, insn.src);
}

function noteStackOperands(env: Env, left: RegState, right: RegState): void {
  let flags = 0;
  if (right.type === REG.STACK) flags |= HISTORY.SOURCE_IS_STACK;
  if (left.type === REG.STACK) flags |= HISTORY.DESTINATION_IS_STACK;
  if (flags !== 0) pushHistory(env, { flags });
}

/** 1 always taken, 0 never, -1 not known. Kernel: is_branch_taken(). */
function taken(left: RegState, right: RegState, operation: number, in32Bits: boolean): 1 | 0 | -1 {
  if (isAnyPacketPointer(left.type) && isAnyPacketPointer(right.type) && !in32Bits) {
    return packetBranchTaken(left, right, operation);
  }
  if (left.type === REG.SCALAR && right.type === REG.SCALAR) {
    const known = isBranchTaken(operation, in32Bits, left.value, right.value);
    return known === null ? -1 : known ? 1 : 0;
  }
  const pointer = isZeroScalar(right, in32Bits) ? left : right;
  const number = pointer === left ? right : left;
  if (!isZeroScalar(number, in32Bits) || !isNeverNull(pointer)) return -1;
  // Linux 6.18 takes the low half of such a pointer for set too. Ours is, where the pointer was not moved.
  if (in32Bits && (pointer.off !== 0 || constantOf(pointer.value) !== 0n)) return -1;
  if (operation === JMP.JEQ) return 0;
  return operation === JMP.JNE ? 1 : -1;
}
function isZeroScalar(reg: RegState, in32Bits: boolean): boolean {
  if (reg.type !== REG.SCALAR) return false;
  const { value, mask } = reg.value.tnum;
  return in32Bits ? ((value | mask) & BigInt(U32_MAX)) === 0n : (value | mask) === 0n;
}

const NEVER_NULL: ReadonlySet<number> = new Set([
  REG.SOCKET,
  REG.TCP_SOCK,
  REG.XDP_SOCK,
  REG.MAP_VALUE,
  REG.MAP_KEY,
  REG.SOCK_COMMON,
  REG.MEM,
  REG.MAP_PTR,
]);
/** Kernel: reg_not_null(). */
export function isNeverNull(reg: RegState): boolean {
  if (mayBeNull(reg.type)) return false;
  const isAlive = baseType(reg.type) === REG.BTF && isTrusted(reg);
  if (!isAlive && (!NEVER_NULL.has(baseType(reg.type)) || reg.type & FLAG.UNTRUSTED)) return false;
  return reg.value.smin > -VARIABLE_LIMIT && reg.value.smax < VARIABLE_LIMIT;
}

/** Both ways are possible: the current path falls through, a copy of it jumps later. */
function splitPaths(env: Env, insn: Insn, operation: number, fromRegister: boolean, in32Bits: boolean): void {
  const places = linkedPlaces(env, insn, fromRegister);
  const jumped = pushPath(env, env.insnIndex + insn.off + 1, env.insnIndex, "EFAULT");
  const fallen = env.state;
  const left = fallen.registers[insn.dst]!;
  const right = fromRegister ? fallen.registers[insn.src]! : knownReg(BigInt.asUintN(64, BigInt(insn.imm)));
  if (left.type === REG.SCALAR && right.type === REG.SCALAR) {
    refine(env, insn, operation, fromRegister, in32Bits, { left, right }, { jumped, fallen });
    if (fromRegister) syncBoth(insn.src, jumped, fallen, places);
    syncBoth(insn.dst, jumped, fallen, places);
  }
  if (!in32Bits && fromRegister) learnNotNull(insn, operation, left, right, jumped, fallen);
  const comparesWithNull = operation === JMP.JEQ || operation === JMP.JNE;
  if (!in32Bits && !fromRegister && insn.imm === 0 && comparesWithNull && mayBeNull(left.type)) {
    learnNullness(env, fallen, insn.dst, operation === JMP.JNE);
    learnNullness(env, jumped, insn.dst, operation === JMP.JEQ);
  } else if (!in32Bits && fromRegister) {
    const pointers = [
      { number: insn.dst, reg: left },
      { number: insn.src, reg: right },
    ] as const;
    learnPacketRange(operation, pointers[0], pointers[1], fallen, jumped);
  }
  env.insnIndex++;
}

function linkedPlaces(env: Env, insn: Insn, fromRegister: boolean): Place[] {
  const places: Place[] = [];
  if (fromRegister) addLinked(env, insn.src, places);
  addLinked(env, insn.dst, places);
  if (places.length > 1) pushHistory(env, { linked: places });
  return places;
}
function addLinked(env: Env, register: number, places: Place[]): void {
  const reg = env.register(register);
  if (reg.type === REG.SCALAR && reg.id !== 0) collectLinked(env, env.state, reg.id, places);
}

function refine(
  env: Env,
  insn: Insn,
  operation: number,
  fromRegister: boolean,
  in32Bits: boolean,
  { left, right }: { readonly left: RegState; readonly right: RegState },
  { jumped, fallen }: { readonly jumped: State; readonly fallen: State },
): void {
  const isSelf = fromRegister && insn.src === insn.dst;
  const edges = isSelf
    ? refineSelf(operation, in32Bits, left.value)
    : refineScalars(operation, in32Bits, left.value, right.value);
  jumped.registers[insn.dst] = withValue(left, edges.taken.a);
  fallen.registers[insn.dst] = withValue(left, edges.fallthrough.a);
  if (!fromRegister || isSelf) return;
  jumped.registers[insn.src] = withValue(right, edges.taken.b);
  fallen.registers[insn.src] = withValue(right, edges.fallthrough.b);
  env.scratchRegister(insn.src);
}

function syncBoth(register: number, jumped: State, fallen: State, places: readonly Place[]): void {
  for (const state of [fallen, jumped]) {
    const reg = state.registers[register]!;
    if (reg.type === REG.SCALAR && reg.id !== 0) syncLinked(state, reg, places);
  }
}

/** Equal to a pointer that is not null: not null either. */
function learnNotNull(
  insn: Insn,
  operation: number,
  left: RegState,
  right: RegState,
  jumped: State,
  fallen: State,
): void {
  if (left.type === REG.SCALAR || right.type === REG.SCALAR) return;
  if (operation !== JMP.JEQ && operation !== JMP.JNE) return;
  const equal = operation === JMP.JEQ ? jumped : fallen;
  if (isNeverNull(left) && mayBeNull(right.type)) equal.registers[insn.src] = notNull(right);
  if (isNeverNull(right) && mayBeNull(left.type)) equal.registers[insn.dst] = notNull(left);
}
