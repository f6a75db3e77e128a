/**
 * Loads and stores: which rules apply to the memory that a register points to. Programs are privileged, so a pointer may
 * be stored anywhere as a plain number (the kernel's allow_ptr_leaks). Kernel: check_mem_access().
 */
import { POINTER } from "../program.ts";
import { checkBtfAccess, checkMapFields } from "./btf-pointer.ts";
import { checkBufferAccess, requireWritableMemory } from "./buffer.ts";
import { checkCtxAccess } from "./ctx.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { checkPointerField } from "./kptr.ts";
import { checkMapAccess, checkMapAccessType, mapValueLoad } from "./map-value.ts";
import { checkPacketAccess, mayWritePacket } from "./packet.ts";
import { checkAlignment, checkRegion, knownAlignment } from "./region.ts";
import {
  baseType,
  FLAG,
  isSocketPointer,
  mayBeNull,
  REG,
  type RegState,
  typeName,
  UNKNOWN,
  withValue,
} from "./register.ts";
import { coerceToSize, coerceToSizeSigned } from "./scalar-size.ts";
import { checkSocketAccess } from "./socket.ts";
import { checkStackBounds } from "./stack-bounds.ts";
import { readStack } from "./stack-read.ts";
import { writeStack } from "./stack-write.ts";
import { pointerFieldAt } from "./value-fields.ts";

/** One access of an instruction. */
export interface Access {
  /** number of the register that holds the address */
  readonly address: number;
  /** the instruction's own offset in bytes */
  readonly off: number;
  readonly size: number;
  readonly write: boolean;
  /** register loaded or stored; -1: an immediate is stored, or nothing is loaded */
  readonly register: number;
  /** natural alignment is required whatever the memory */
  readonly strict: boolean;
  readonly signed: boolean;
}

export function checkAccess(env: Env, access: Access): void {
  const reg = env.register(access.address);
  checkAlignment(env, reg, access.off, access.size, access.strict);
  const loaded = accessMemory(env, reg, access);
  env.facts.access(env.insnIndex, pointerKind(reg), knownAlignment(reg, access.off));
  if (loaded === null) return;
  env.setRegister(access.register, loaded.type === REG.SCALAR ? narrow(loaded, access) : loaded);
}

/** A load of fewer than 8 bytes knows the upper bytes. */
function narrow(loaded: RegState, access: Access): RegState {
  if (access.size === 8) return loaded;
  const value = access.signed ? coerceToSizeSigned(loaded.value, access.size) : coerceToSize(loaded.value, access.size);
  return withValue(loaded, value);
}

/** Checks by type; returns what is loaded, null where nothing is. */
function accessMemory(env: Env, reg: RegState, access: Access): RegState | null {
  const { write, size, register } = access;
  const off = access.off + reg.off;
  const loads = !write && register >= 0;
  switch (baseType(reg.type)) {
    case REG.STACK:
      checkStackBounds(env, access.address, reg, off, size, write ? "write" : "read");
      if (write) {
        writeStack(env, reg, off, size, register);
        return null;
      }
      return readStack(env, access.address, reg, off, size, register);
    case REG.MAP_VALUE: {
      if (mayBeNull(reg.type)) break;
      checkMapAccessType(env, reg, off, size, write);
      checkMapAccess(env, access.address, reg, off, size, false, "program");
      const pointer = pointerFieldAt(reg, off);
      if (pointer !== undefined) return checkPointerField(env, access, pointer);
      return loads ? mapValueLoad(reg, off, size, access.signed) : null;
    }
    case REG.MAP_KEY:
      if (write) reject(env, "EACCES", `write to change key R${access.address} not allowed`);
      checkRegion(env, access.address, reg, off, size, reg.map!.keySize, false);
      return loads ? UNKNOWN : null;
    case REG.MEM:
      if (mayBeNull(reg.type)) break;
      if (write) requireWritableMemory(env, access.address, reg);
      // Memory that a kernel pointer names is read with care, wherever it is.
      if (!(reg.type & FLAG.UNTRUSTED)) checkRegion(env, access.address, reg, off, size, reg.memSize, false);
      return loads ? UNKNOWN : null;
    case REG.BTF: {
      if (mayBeNull(reg.type)) break;
      const found = checkBtfAccess(env, access, reg, off);
      return loads ? found : null;
    }
    case REG.CTX:
      return checkCtxAccess(env, access, reg, off);
    case REG.PACKET:
    case REG.PACKET_META:
      if (write && !mayWritePacket(env)) reject(env, "EACCES", "cannot write into packet");
      checkPacketAccess(env, access.address, reg, off, size, false);
      return loads ? UNKNOWN : null;
    case REG.SOCKET:
    case REG.SOCK_COMMON:
    case REG.TCP_SOCK:
    case REG.XDP_SOCK:
      if (mayBeNull(reg.type) || !isSocketPointer(reg.type)) break;
      if (write) reject(env, "EACCES", `R${access.address} cannot write into ${typeName(reg.type)}`);
      checkSocketAccess(env, access, reg, off);
      return loads ? UNKNOWN : null;
    case REG.FLOW_KEYS:
      if (off < 0 || off + size > FLOW_KEYS_BYTES) {
        reject(env, "EACCES", `invalid access to flow keys off=${off} size=${size}`);
      }
      return loads ? UNKNOWN : null;
    case REG.TP_BUFFER:
      checkBufferAccess(env, access.address, reg, off, size);
      return loads ? UNKNOWN : null;
    case REG.BUF:
      if (mayBeNull(reg.type)) break;
      if (write) requireWritableMemory(env, access.address, reg);
      checkBufferAccess(env, access.address, reg, off, size);
      return loads ? UNKNOWN : null;
    case REG.ARENA:
      return loads ? UNKNOWN : null;
    case REG.MAP_PTR: {
      if (mayBeNull(reg.type)) break;
      const found = checkMapFields(env, access, reg.map!, off);
      return loads ? found : null;
    }
  }
  return reject(env, "EACCES", `R${access.address} invalid mem access '${typeName(reg.type)}'`);
}

/** sizeof(struct bpf_flow_keys) */
const FLOW_KEYS_BYTES = 56;

const KINDS: Readonly<Record<number, number>> = {
  [REG.CTX]: POINTER.ctx,
  [REG.STACK]: POINTER.stack,
  [REG.MAP_VALUE]: POINTER.mapValue,
  [REG.MAP_KEY]: POINTER.mapKey,
  [REG.PACKET]: POINTER.packet,
  [REG.PACKET_META]: POINTER.packet,
  [REG.MEM]: POINTER.memory,
  [REG.BTF]: POINTER.btf,
  [REG.MAP_PTR]: POINTER.map,
};
const pointerKind = (reg: RegState): number =>
  reg.type & FLAG.UNTRUSTED ? POINTER.btf : (KINDS[baseType(reg.type)] ?? 0);
