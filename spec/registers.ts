/**
 * struct pt_regs of x86-64, which programs of probes get: offsets in bytes, every register a u64.
 * Source: arch/x86/include/asm/ptrace.h; the order of parameters: System V ABI, PT_REGS_PARM* in libbpf's bpf_tracing.h.
 */
const ORDER = [
  "r15",
  "r14",
  "r13",
  "r12",
  "bp",
  "bx",
  "r11",
  "r10",
  "r9",
  "r8",
  "ax",
  "cx",
  "dx",
  "si",
  "di",
  "orig_ax",
  "ip",
  "cs",
  "flags",
  "sp",
  "ss",
] as const;

export type RegisterName = (typeof ORDER)[number];

export const REGISTERS: Readonly<Record<RegisterName, number>> = Object.fromEntries(
  ORDER.map((name, index) => [name, index * 8]),
) as Record<RegisterName, number>;
export const REGISTERS_BYTES = ORDER.length * 8;

/** In which a function finds its arguments. */
export const PARAMETER_REGISTERS: readonly RegisterName[] = ["di", "si", "dx", "cx", "r8", "r9"];
/** In which it leaves its result. */
export const RESULT_REGISTER: RegisterName = "ax";
