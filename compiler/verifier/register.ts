/**
 * The state of one register (or of a register spilled to the stack). Registers in a frame are never changed in place:
 * `edit` makes a copy to change, so that states share them. Kernel: struct bpf_reg_state.
 */
import type { MapSpec } from "../../spec/map-types.ts";
import type { Btf } from "../object/btf/btf.ts";
import { knownScalar, type Scalar, UNKNOWN_SCALAR, ZERO_SCALAR } from "./scalar.ts";

/** Base types; `type & BASE` of a register's type. Kernel: enum bpf_reg_type. */
export const REG = {
  NOT_INIT: 0,
  SCALAR: 1,
  CTX: 2,
  MAP_PTR: 3,
  MAP_VALUE: 4,
  MAP_KEY: 5,
  STACK: 6,
  PACKET: 7,
  PACKET_META: 8,
  PACKET_END: 9,
  FLOW_KEYS: 10,
  SOCKET: 11,
  SOCK_COMMON: 12,
  TCP_SOCK: 13,
  XDP_SOCK: 14,
  /** plain memory of known length: ring records, raw memory, memory arguments of global functions */
  MEM: 15,
  FUNC: 16,
  /** the buffer that a writable raw tracepoint passes on */
  TP_BUFFER: 17,
  /** a pointer with a kernel type */
  BTF: 18,
  /** a dynptr: passed to a callback or a global function, or kept in two slots of the stack */
  DYNPTR: 19,
  /** memory of a length that shows when the program runs: keys and values of iterators */
  BUF: 20,
  ARENA: 21,
} as const;
const BASE = 0xff;

/** Flags beside the base type. Kernel: enum bpf_type_flag. */
export const FLAG = {
  MAYBE_NULL: 0x100,
  RDONLY: 0x200,
  RINGBUF: 0x400,
  PERF: 0x800,
  TRUSTED: 0x1000,
  UNTRUSTED: 0x2000,
  RCU: 0x4000,
  PERCPU: 0x8000,
  /** points to user space */
  USER: 0x10000,
  /** BTF: an object that the program allocated (bpf_obj_new), of a type of its own */
  ALLOC: 0x20000,
  /** BTF: a node of a list or tree that holds it; good while the lock is held */
  NON_OWNING: 0x40000,
  /** MEM: a slice of a dynptr's memory, by what that is over. Kernel: DYNPTR_TYPE_LOCAL and its like */
  SLICE_LOCAL: 0x80000,
  SLICE_RINGBUF: 0x100000,
  SLICE_SKB: 0x200000,
  SLICE_XDP: 0x400000,
  SLICE_SKB_META: 0x800000,
} as const;

const SLICE_FLAGS = FLAG.SLICE_LOCAL | FLAG.SLICE_RINGBUF | FLAG.SLICE_SKB | FLAG.SLICE_XDP | FLAG.SLICE_SKB_META;

export const baseType = (type: number): number => type & BASE;
export const mayBeNull = (type: number): boolean => (type & FLAG.MAYBE_NULL) !== 0;
export const isReadOnly = (type: number): boolean => (type & FLAG.RDONLY) !== 0;
export const isPacketPointer = (type: number): boolean => type === REG.PACKET || type === REG.PACKET_META;
export const withoutSlice = (type: number): number => type & ~SLICE_FLAGS;
/** Memory in a packet, which moves as the packet does. */
export const isPacketSlice = (type: number): boolean =>
  baseType(type) === REG.MEM && (type & (FLAG.SLICE_SKB | FLAG.SLICE_XDP | FLAG.SLICE_SKB_META)) !== 0;
export const isAnyPacketPointer = (type: number): boolean => isPacketPointer(type) || type === REG.PACKET_END;
export const isMapType = (type: number): boolean =>
  baseType(type) === REG.MAP_PTR || baseType(type) === REG.MAP_VALUE || baseType(type) === REG.MAP_KEY;
/** Kernel: type_is_sk_pointer(). */
export const isSocketPointer = (type: number): boolean =>
  type === REG.SOCKET || type === REG.SOCK_COMMON || type === REG.TCP_SOCK || type === REG.XDP_SOCK;

/** `range` of a packet pointer that is known to lie beyond, or at, the packet's end. */
export const AT_PACKET_END = -1;
export const BEYOND_PACKET_END = -2;

/** What a dynptr is over. Kernel: enum bpf_dynptr_type. */
export type DynptrKind = "local" | "ringbuf" | "skb" | "xdp" | "skb_meta" | "file";

/** REG.DYNPTR. On the stack each of the two slots holds one, with the same id in Reg.id. */
export interface DynptrInfo {
  readonly kind: DynptrKind;
  /** on the stack: the slot of the lower half */
  readonly first: boolean;
}

/** An open-coded iterator in slots of the stack. Kernel: bpf_reg_state.iter */
export interface IteratorInfo {
  /** struct bpf_iter_…, in the kernel's BTF */
  readonly btf: Btf;
  readonly btfType: number;
  readonly state: "active" | "drained";
  readonly depth: number;
}

/** How a scalar hangs on others of its id: equal, or equal but for `delta`, added in 64 or in 32 bits. */
export const LINK = { EQUAL: 0, ADD32: 1, ADD64: 2 } as const;

export class Reg {
  type: number;
  /** scalars: the value; pointers: the variable part of the offset */
  value: Scalar;
  /** pointers: fixed part of the offset in bytes */
  off = 0;
  /** scalars: registers of one id have the same value; or-null pointers: were made by one call; packet: same variable part */
  id = 0;
  link: number = LINK.EQUAL;
  delta = 0;
  /** id of the reference that must be released, 0: none */
  refId = 0;
  /** stack pointers: index of the frame */
  frame = 0;
  /** packet pointers: bytes from the pointer without its fixed offset that are known to lie in the packet */
  range = 0;
  map: MapSpec | null = null;
  /** tells values of different inner maps apart */
  mapUid = 0;
  /** MEM: bytes */
  memSize = 0;
  /** MEM: id of the dynptr that it is a slice of, 0: of none */
  dynptrId = 0;
  /** BTF: the type that it points to, no modifier */
  btf: Btf | null = null;
  btfType = 0;
  /** FUNC: index of the subprogram */
  subprogram = 0;
  dynptr: DynptrInfo | null = null;
  iterator: IteratorInfo | null = null;
  /** pruning must respect the value. Kernel: precision tracking */
  precise = false;

  constructor(type: number, value: Scalar) {
    this.type = type;
    this.value = value;
  }
}
export type RegState = Readonly<Reg>;

export const NOT_INIT: RegState = new Reg(REG.NOT_INIT, UNKNOWN_SCALAR);
export const UNKNOWN: RegState = new Reg(REG.SCALAR, UNKNOWN_SCALAR);
export const ZERO: RegState = new Reg(REG.SCALAR, ZERO_SCALAR);

/** A copy that may be changed until it is put into a frame. */
export function edit(reg: RegState): Reg {
  const copy = new Reg(reg.type, reg.value);
  copy.off = reg.off;
  copy.id = reg.id;
  copy.link = reg.link;
  copy.delta = reg.delta;
  copy.refId = reg.refId;
  copy.frame = reg.frame;
  copy.range = reg.range;
  copy.map = reg.map;
  copy.mapUid = reg.mapUid;
  copy.memSize = reg.memSize;
  copy.dynptrId = reg.dynptrId;
  copy.btf = reg.btf;
  copy.btfType = reg.btfType;
  copy.subprogram = reg.subprogram;
  copy.dynptr = reg.dynptr;
  copy.iterator = reg.iterator;
  copy.precise = reg.precise;
  return copy;
}

export const scalarReg = (value: Scalar): Reg => new Reg(REG.SCALAR, value);
export const knownReg = (value: bigint): Reg => new Reg(REG.SCALAR, knownScalar(value));
export const pointerReg = (type: number): Reg => new Reg(type, ZERO_SCALAR);

export function withValue(reg: RegState, value: Scalar): Reg {
  const copy = edit(reg);
  copy.value = value;
  return copy;
}
export function withoutId(reg: RegState): RegState {
  if (reg.id === 0 && reg.link === LINK.EQUAL) return reg;
  const copy = edit(reg);
  copy.id = 0;
  copy.link = LINK.EQUAL;
  copy.delta = 0;
  return copy;
}
export function markPrecise(reg: RegState): RegState {
  const copy = edit(reg);
  copy.precise = true;
  return copy;
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [REG.NOT_INIT]: "?",
  [REG.SCALAR]: "scalar",
  [REG.CTX]: "ctx",
  [REG.MAP_PTR]: "map_ptr",
  [REG.MAP_VALUE]: "map_value",
  [REG.MAP_KEY]: "map_key",
  [REG.STACK]: "fp",
  [REG.PACKET]: "pkt",
  [REG.PACKET_META]: "pkt_meta",
  [REG.PACKET_END]: "pkt_end",
  [REG.FLOW_KEYS]: "flow_keys",
  [REG.SOCKET]: "sock",
  [REG.SOCK_COMMON]: "sock_common",
  [REG.TCP_SOCK]: "tcp_sock",
  [REG.XDP_SOCK]: "xdp_sock",
  [REG.MEM]: "mem",
  [REG.FUNC]: "func",
  [REG.TP_BUFFER]: "tp_buffer",
  [REG.BTF]: "ptr_",
  [REG.DYNPTR]: "dynptr_ptr",
  [REG.BUF]: "buf",
  [REG.ARENA]: "arena",
};

/** Kernel: reg_type_str(). */
export function typeName(type: number): string {
  if (type & FLAG.PERF) return `perf_${TYPE_NAMES[baseType(type)]}${mayBeNull(type) ? "_or_null" : ""}`;
  let before = type & FLAG.RDONLY ? "rdonly_" : "";
  if (type & FLAG.RINGBUF) before += "ringbuf_";
  if (type & FLAG.USER) before += "user_";
  if (type & FLAG.PERCPU) before += "percpu_";
  if (type & FLAG.UNTRUSTED) before += "untrusted_";
  if (type & FLAG.TRUSTED) before += "trusted_";
  if (type & FLAG.RCU) before += "rcu_";
  const isBtf = baseType(type) === REG.BTF;
  return `${before}${TYPE_NAMES[baseType(type)]}${mayBeNull(type) ? (isBtf ? "or_null_" : "_or_null") : ""}`;
}
