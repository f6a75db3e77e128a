/**
 * Packet pointers: an access must lie within the range that a comparison with the packet's end has proven, and the
 * comparison that proves it. Kernel: check_packet_access(), find_good_pkt_pointers(), try_match_pkt_pointers().
 */
import { JMP } from "../../spec/isa.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { fits, outside } from "./region.ts";
import {
  AT_PACKET_END,
  BEYOND_PACKET_END,
  edit,
  isAnyPacketPointer,
  isPacketSlice,
  REG,
  type RegState,
  UNKNOWN,
} from "./register.ts";
import { isConstant } from "./scalar.ts";
import { mapRegisters, type State } from "./state.ts";

/** Kernel: MAX_PACKET_OFF */
const MOST_PACKET_BYTES = 0xffff;

/** Whether programs of this type work on packets directly, and may write them. Kernel: may_access_direct_pkt_data(). */
export const mayWritePacket = (env: Env): boolean => env.type.packetWrite;

export function checkPacketAccess(
  env: Env,
  number: number,
  reg: RegState,
  off: number,
  size: number,
  zeroAllowed: boolean,
): void {
  if (reg.value.smin < 0n) {
    reject(env, "EACCES", `R${number} min value is negative, either use unsigned index or do a if (index >=0) check.`);
  }
  const message = `R${number} offset is outside of the packet`;
  if (reg.range < 0) reject(env, "EINVAL", message);
  if (!fits(off, size, reg.range, zeroAllowed)) {
    reject(env, "EACCES", outside(number, reg, off, size, reg.range), message);
  }
}

/** A pointer at the very start of the packet. Kernel: reg_is_init_pkt_pointer(). */
const isPacketStart = (reg: RegState): boolean =>
  reg.type === REG.PACKET && reg.id === 0 && reg.off === 0 && isConstant(reg.value) && reg.value.umax === 0n;

/** `pointer` is to be compared with `limit` as an end: packet with its end, metadata with the packet's start. */
const isBoundary = (pointer: RegState, limit: RegState): boolean =>
  (pointer.type === REG.PACKET && limit.type === REG.PACKET_END) ||
  (pointer.type === REG.PACKET_META && isPacketStart(limit));

/**
 * Learns from `dst <operation> src` between packet pointers: `fallthrough` is the state where it does not hold, `taken`
 * where it does. False where the comparison is not one of packet pointers.
 */
export function learnPacketRange(
  operation: number,
  dst: { readonly number: number; readonly reg: RegState },
  src: { readonly number: number; readonly reg: RegState },
  fallthrough: State,
  taken: State,
): boolean {
  const forward = isBoundary(dst.reg, src.reg);
  if (!forward && !isBoundary(src.reg, dst.reg)) return false;
  const pointer = forward ? dst : src;
  // As if written with the pointer on the left: `end > p` is `p < end`.
  const seen = forward ? operation : FLIPPED[operation];
  switch (seen) {
    case JMP.JGT:
      extendRange(fallthrough, pointer.reg, false);
      markEnd(taken, pointer.number, true);
      return true;
    case JMP.JLT:
      extendRange(taken, pointer.reg, true);
      markEnd(fallthrough, pointer.number, false);
      return true;
    case JMP.JGE:
      extendRange(fallthrough, pointer.reg, true);
      markEnd(taken, pointer.number, false);
      return true;
    case JMP.JLE:
      extendRange(taken, pointer.reg, false);
      markEnd(fallthrough, pointer.number, true);
      return true;
    default:
      return false;
  }
}
const FLIPPED: Readonly<Record<number, number>> = {
  [JMP.JGT]: JMP.JLT,
  [JMP.JLT]: JMP.JGT,
  [JMP.JGE]: JMP.JLE,
  [JMP.JLE]: JMP.JGE,
};

/**
 * In `state` the pointer lies at or (`open`) below the end, so its fixed offset is how many bytes all pointers with the
 * same variable part may reach.
 */
function extendRange(state: State, pointer: RegState, open: boolean): void {
  if (pointer.off < 0 || (pointer.off === 0 && open)) return;
  if (pointer.value.umax + BigInt(pointer.off) > MOST_PACKET_BYTES || pointer.value.umax > MOST_PACKET_BYTES) return;
  const range = pointer.off + (open ? 1 : 0);
  mapRegisters(state, (reg) => {
    if (reg.type !== pointer.type || reg.id !== pointer.id || reg.range >= range) return reg;
    const better = edit(reg);
    better.range = range;
    return better;
  });
}

/** The pointer lies at the end, or beyond it. Kernel: mark_pkt_end(). */
function markEnd(state: State, number: number, beyond: boolean): void {
  const reg = state.registers[number]!;
  if (reg.type !== REG.PACKET) return;
  const marked = edit(reg);
  marked.range = beyond ? BEYOND_PACKET_END : AT_PACKET_END;
  state.registers[number] = marked;
}

/** The packet may have moved: pointers into it are plain numbers from here. Kernel: clear_all_pkt_pointers(). */
export function forgetPackets(state: State): void {
  mapRegisters(state, (reg) => (isAnyPacketPointer(reg.type) || isPacketSlice(reg.type) ? UNKNOWN : reg));
}

/** 1 taken, 0 not, -1 unknown, where a comparison with the end was made before. Kernel: is_pkt_ptr_branch_taken(). */
export function packetBranchTaken(dst: RegState, src: RegState, operation: number): 1 | 0 | -1 {
  const forward = src.type === REG.PACKET_END;
  if (!forward && dst.type !== REG.PACKET_END) return -1;
  const { range } = forward ? dst : src;
  const seen = forward ? operation : (FLIPPED[operation] ?? operation);
  if (range >= 0) return -1;
  if (range === BEYOND_PACKET_END && (seen === JMP.JGT || seen === JMP.JLE)) return seen === JMP.JGT ? 1 : 0;
  if (seen === JMP.JGE || seen === JMP.JLT) return seen === JMP.JGE ? 1 : 0;
  return -1;
}
