/**
 * The BPF instruction set as data: classes, operations, sizes, modes, pseudo sources.
 * Codec, assembler, verifier, lowering and reference interpreter read these numbers; none retypes them.
 * Source: RFC 9669; include/uapi/linux/bpf.h and bpf_common.h.
 */

/** `opcode & 7` */
export const CLASS = { LD: 0, LDX: 1, ST: 2, STX: 3, ALU: 4, JMP: 5, JMP32: 6, ALU64: 7 } as const;

/** `opcode & 0x18` of loads and stores. */
export const SIZE = { W: 0x00, H: 0x08, B: 0x10, DW: 0x18 } as const;

/** `opcode & 0xe0` of loads and stores. */
export const MODE = {
  IMM: 0x00,
  ABS: 0x20,
  IND: 0x40,
  MEM: 0x60,
  /** sign-extending load (ISA v4) */
  MEMSX: 0x80,
  /** arena pointers, after verification in the kernel only */
  PROBE_MEM32: 0xa0,
  ATOMIC: 0xc0,
} as const;

/** `opcode & 0xf0` of ALU and ALU64. */
export const ALU = {
  ADD: 0x00,
  SUB: 0x10,
  MUL: 0x20,
  /** off = 1: signed */
  DIV: 0x30,
  OR: 0x40,
  AND: 0x50,
  LSH: 0x60,
  RSH: 0x70,
  NEG: 0x80,
  /** off = 1: signed */
  MOD: 0x90,
  XOR: 0xa0,
  /** off = 8, 16, 32: sign-extending move; off = 1 in ALU64: address space cast */
  MOV: 0xb0,
  ARSH: 0xc0,
  /** byte swap: class ALU, source bit K to little endian, X to big endian; class ALU64: unconditional */
  END: 0xd0,
} as const;

/** `opcode & 0xf0` of JMP and JMP32. */
export const JMP = {
  /** class JMP: 16-bit offset; class JMP32: `gotol`, 32-bit offset in imm */
  JA: 0x00,
  JEQ: 0x10,
  JGT: 0x20,
  JGE: 0x30,
  JSET: 0x40,
  JNE: 0x50,
  JSGT: 0x60,
  JSGE: 0x70,
  CALL: 0x80,
  EXIT: 0x90,
  JLT: 0xa0,
  JLE: 0xb0,
  JSLT: 0xc0,
  JSLE: 0xd0,
  /** conditional on the may_goto budget (imm 0) */
  JCOND: 0xe0,
} as const;

/** `opcode & 8`: second operand is imm (K) or the source register (X). */
export const SRC = { K: 0, X: 8 } as const;

/** imm of `STX | ATOMIC`. */
export const ATOMIC = {
  ADD: 0x00,
  OR: 0x40,
  AND: 0x50,
  XOR: 0xa0,
  FETCH: 0x01,
  XCHG: 0xe1,
  CMPXCHG: 0xf1,
  /** kernel 6.15+, on LDX/STX-like accesses */
  LOAD_ACQ: 0x100,
  STORE_REL: 0x110,
} as const;

/** src register of the 64-bit immediate load. */
export const PSEUDO_LD = {
  NONE: 0,
  /** imm: index of the map in the program's `maps` (libbpf: map fd) */
  MAP_FD: 1,
  /** imm: index of the map; imm of the second slot: byte offset into its value */
  MAP_VALUE: 2,
  /** imm: BTF id of a kernel variable */
  BTF_ID: 3,
  /** imm: instructions to the subprogram, relative to the next instruction's slot */
  FUNC: 4,
  MAP_IDX: 5,
  MAP_IDX_VALUE: 6,
} as const;

/** src register of a call. */
export const PSEUDO_CALL = {
  HELPER: 0,
  /** imm: instructions to the subprogram, relative to the next instruction */
  SUBPROG: 1,
  /** imm: BTF id of the kernel function; off: index of the module's BTF */
  KFUNC: 2,
} as const;

/** Names by operation, for printers and messages. */
export const ALU_SYMBOL: Readonly<Record<number, string>> = {
  [ALU.ADD]: "+=",
  [ALU.SUB]: "-=",
  [ALU.MUL]: "*=",
  [ALU.DIV]: "/=",
  [ALU.OR]: "|=",
  [ALU.AND]: "&=",
  [ALU.LSH]: "<<=",
  [ALU.RSH]: ">>=",
  [ALU.NEG]: "neg",
  [ALU.MOD]: "%=",
  [ALU.XOR]: "^=",
  [ALU.MOV]: "=",
  [ALU.ARSH]: "s>>=",
  [ALU.END]: "endian",
};

export const JMP_SYMBOL: Readonly<Record<number, string>> = {
  [JMP.JEQ]: "==",
  [JMP.JGT]: ">",
  [JMP.JGE]: ">=",
  [JMP.JSET]: "&",
  [JMP.JNE]: "!=",
  [JMP.JSGT]: "s>",
  [JMP.JSGE]: "s>=",
  [JMP.JLT]: "<",
  [JMP.JLE]: "<=",
  [JMP.JSLT]: "s<",
  [JMP.JSLE]: "s<=",
};

/** Bytes moved by a load or store of that size field. */
export const SIZE_BYTES: Readonly<Record<number, 1 | 2 | 4 | 8>> = {
  [SIZE.W]: 4,
  [SIZE.H]: 2,
  [SIZE.B]: 1,
  [SIZE.DW]: 8,
};

/** Bytes of one instruction slot; a 64-bit immediate takes two slots. */
export const INSN_BYTES = 8;

/** r0 … r10 */
export const REGISTERS = 11;
export const FRAME_POINTER = 10;
