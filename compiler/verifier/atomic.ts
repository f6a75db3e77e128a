/** Atomic operations on memory. Kernel: check_atomic(). */
import { ATOMIC, SIZE, SIZE_BYTES } from "../../spec/isa.ts";
import type { Insn } from "../asm/instruction.ts";
import { loadedByAtomic } from "./backtrack.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { type Access, checkAccess } from "./memory.ts";
import { requireReadable, requireWritable } from "./operands.ts";
import { notePointerUse } from "./pointer-use.ts";
import { isPacketPointer, isSocketPointer, REG, typeName, UNKNOWN } from "./register.ts";

const READ_MODIFY_WRITE: ReadonlySet<number> = new Set([
  ATOMIC.ADD,
  ATOMIC.ADD | ATOMIC.FETCH,
  ATOMIC.AND,
  ATOMIC.AND | ATOMIC.FETCH,
  ATOMIC.OR,
  ATOMIC.OR | ATOMIC.FETCH,
  ATOMIC.XOR,
  ATOMIC.XOR | ATOMIC.FETCH,
  ATOMIC.XCHG,
  ATOMIC.CMPXCHG,
]);

/** x86 makes loops of them, which cannot be resumed after a fault. Kernel: bpf_jit_supports_insn() */
const NOT_IN_ARENA: ReadonlySet<number> = new Set([
  ATOMIC.AND | ATOMIC.FETCH,
  ATOMIC.OR | ATOMIC.FETCH,
  ATOMIC.XOR | ATOMIC.FETCH,
]);

export function checkAtomic(env: Env, insn: Insn): void {
  if (READ_MODIFY_WRITE.has(insn.imm)) checkReadModifyWrite(env, insn);
  else if (insn.imm === ATOMIC.LOAD_ACQ) checkLoadAcquire(env, insn);
  else if (insn.imm === ATOMIC.STORE_REL) checkStoreRelease(env, insn);
  else {
    const opcode = (insn.imm >>> 0).toString(16).padStart(2, "0");
    reject(env, "EINVAL", `BPF_ATOMIC uses invalid atomic opcode ${opcode}`);
  }
}

function checkReadModifyWrite(env: Env, insn: Insn): void {
  const size = insn.opcode & 0x18;
  if (size !== SIZE.W && size !== SIZE.DW) reject(env, "EINVAL", "invalid atomic operand size");
  requireReadable(env, insn.src);
  requireReadable(env, insn.dst);
  if (insn.imm === ATOMIC.CMPXCHG) requireReadable(env, 0);
  requireAtomicType(env, insn.dst, env.register(insn.dst).type, "stores into");
  if (env.register(insn.dst).type === REG.ARENA && NOT_IN_ARENA.has(insn.imm)) {
    reject(env, "EACCES", `BPF_ATOMIC stores into R${insn.dst} arena is not allowed`);
  }
  const access = { address: insn.dst, off: insn.off, size: SIZE_BYTES[size]!, strict: true, signed: false };
  const loaded = insn.imm & ATOMIC.FETCH ? loadedByAtomic(insn) : -1;
  if (loaded >= 0) requireWritable(env, loaded);
  // A register that is both address and result is no pointer any more when the access is looked at.
  if (loaded >= 0) env.setRegister(loaded, UNKNOWN);
  checkAccess(env, { ...access, write: false, register: -1 });
  if (loaded >= 0) checkAccess(env, { ...access, write: false, register: loaded });
  notePointerUse(env, env.register(insn.dst).type, false);
  checkAccess(env, { ...access, write: true, register: -1 });
}

function checkLoadAcquire(env: Env, insn: Insn): void {
  requireReadable(env, insn.src);
  requireWritable(env, insn.dst);
  const { type } = env.register(insn.src);
  checkAccess(env, accessOf(insn, insn.src, insn.dst, false));
  notePointerUse(env, type, false);
  requireAtomicType(env, insn.src, type, "loads from");
}

function checkStoreRelease(env: Env, insn: Insn): void {
  requireReadable(env, insn.src);
  requireReadable(env, insn.dst);
  const { type } = env.register(insn.dst);
  checkAccess(env, accessOf(insn, insn.dst, insn.src, true));
  notePointerUse(env, type, false);
  requireAtomicType(env, insn.dst, type, "stores into");
}

const accessOf = (insn: Insn, address: number, register: number, write: boolean): Access => ({
  address,
  register,
  write,
  off: insn.off,
  size: SIZE_BYTES[insn.opcode & 0x18]!,
  strict: true,
  signed: false,
});

/** Kernel: atomic_ptr_type_ok(). */
const isAtomicMemory = (type: number): boolean =>
  type !== REG.CTX && !isPacketPointer(type) && type !== REG.FLOW_KEYS && !isSocketPointer(type);

function requireAtomicType(env: Env, register: number, type: number, verb: string): void {
  if (!isAtomicMemory(type)) reject(env, "EACCES", `BPF_ATOMIC ${verb} R${register} ${typeName(type)} is not allowed`);
}
