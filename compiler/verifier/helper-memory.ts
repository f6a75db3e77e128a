/** Memory that a helper is given, by the type of pointer. Kernel: check_helper_mem_access(), check_stack_range_initialized(). */
import { checkBtfAccess } from "./btf-pointer.ts";
import { checkBufferAccess, requireWritableMemory } from "./buffer.ts";
import { checkCtxAccess } from "./ctx.ts";
import { isDynptrSlot } from "./dynptr-slots.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { CallArguments } from "./helper-arguments.ts";
import { checkMapAccess, checkMapAccessType } from "./map-value.ts";
import type { Access } from "./memory.ts";
import { checkPacketAccess } from "./packet.ts";
import { checkRegion } from "./region.ts";
import { baseType, NOT_INIT, REG, type RegState, typeName } from "./register.ts";
import { isConstant, isZero } from "./scalar.ts";
import { checkStackBounds, frameOf, stackRange } from "./stack-bounds.ts";
import { requirePlain } from "./stack-read.ts";
import { scrubbed } from "./stack-write.ts";
import { BYTE, byteKind, isSpilled, SLOT_BYTES, slotIndexOf, withByteKind } from "./state.ts";

export interface MemoryUse {
  readonly writes: boolean;
  readonly zeroAllowed: boolean;
  /** the helper initialises all of it */
  readonly fills?: boolean;
}

/** A load whose result nobody wants. */
const readOf = (address: number, size: number): Access => ({
  address,
  off: 0,
  size,
  write: false,
  register: -1,
  strict: false,
  signed: false,
});

/** `call` is where memory that is filled is noted; null: nothing is. */
export function checkHelperMemory(
  env: Env,
  call: CallArguments | null,
  register: number,
  size: number,
  use: MemoryUse,
): void {
  const reg = env.register(register);
  switch (baseType(reg.type)) {
    case REG.PACKET:
    case REG.PACKET_META:
      checkPacketAccess(env, register, reg, reg.off, size, use.zeroAllowed);
      return;
    case REG.MAP_KEY:
      if (use.writes) reject(env, "EACCES", `R${register} cannot write into ${typeName(reg.type)}`);
      checkRegion(env, register, reg, reg.off, size, reg.map!.keySize, false);
      return;
    case REG.MAP_VALUE:
      checkMapAccessType(env, reg, reg.off, size, use.writes);
      checkMapAccess(env, register, reg, reg.off, size, use.zeroAllowed, "helper");
      return;
    case REG.MEM:
      if (use.writes) requireWritableMemory(env, register, reg);
      checkRegion(env, register, reg, reg.off, size, reg.memSize, use.zeroAllowed);
      return;
    case REG.STACK:
      checkStackMemory(env, call, register, reg, size, use);
      return;
    case REG.BTF:
      checkBtfAccess(env, readOf(register, size), reg, reg.off);
      return;
    case REG.BUF:
      if (use.writes) requireWritableMemory(env, register, reg);
      checkBufferAccess(env, register, reg, reg.off, size);
      return;
    case REG.CTX:
      if (env.type.plainCtx) {
        checkContextMemory(env, register, reg, size, use);
        return;
      }
  }
  if (use.zeroAllowed && size === 0 && reg.type === REG.SCALAR && isZero(reg.value)) return;
  reject(env, "EACCES", `R${register} type=${typeName(reg.type)} expected=${typeName(REG.STACK)}`);
}

/** The last byte decides. */
function checkContextMemory(env: Env, register: number, reg: RegState, size: number, use: MemoryUse): void {
  if (size === 0 && use.zeroAllowed) return;
  const last = { ...readOf(register, 1), off: size - 1, write: use.writes };
  checkCtxAccess(env, last, reg, reg.off + size - 1);
}

function checkStackMemory(
  env: Env,
  call: CallArguments | null,
  register: number,
  reg: RegState,
  size: number,
  use: MemoryUse,
): void {
  if (size === 0 && !use.zeroAllowed) reject(env, "EACCES", "invalid zero-sized read");
  checkStackBounds(env, register, reg, reg.off, size, use.writes ? "write" : "read");
  const frame = frameOf(env, reg);
  const { min, max } = stackRange(reg, reg.off);
  if (call !== null && use.fills && isConstant(reg.value)) {
    for (let at = min; at < max + size; at++) {
      if (isDynptrSlot(frame, slotIndexOf(at))) {
        reject(env, "EACCES", `potential write to dynptr at off=${at} disallowed`);
      }
    }
    call.written = { frame, off: min, size };
    return;
  }
  requirePlain(env, register, reg, min, max + size - min, size);
  env.stackLiveness.readRange(frame, min, max + size);
  if (!use.writes) return;
  for (let at = min; at < max + size; at++) {
    const index = slotIndexOf(at);
    const slot = frame.slot(index);
    const byte = (-at - 1) % SLOT_BYTES;
    const kind = byteKind(slot.kinds, byte);
    if (kind === BYTE.MISC) continue;
    // A pointer or number that was spilled there may be overwritten in part.
    if (isSpilled(slot)) frame.setSlot(index, { kinds: scrubbed(slot), reg: NOT_INIT });
    else frame.setSlot(index, { kinds: withByteKind(slot.kinds, byte, BYTE.MISC), reg: slot.reg });
  }
}
