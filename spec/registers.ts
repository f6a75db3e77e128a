/**
 * Registers as programs of probes get them: offsets in bytes into their ctx (bpf_user_pt_regs_t), every register a u64.
 * Source: arch/x86/include/asm/ptrace.h, arch/arm64/include/{asm,uapi/asm}/ptrace.h; the order of parameters: System V ABI and
 * AAPCS64, PT_REGS_PARM* in libbpf's bpf_tracing.h.
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
const ARM64_ORDER = [
  ...["x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15"],
  ...["x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30"],
  ...["sp", "pc", "pstate"],
] as const;
const WORD_BYTES = 8;

/** of x86-64 */
export type RegisterName = (typeof ORDER)[number];
type Arm64RegisterName = (typeof ARM64_ORDER)[number];

const offsetsOf = <Name extends string>(order: readonly Name[]): Readonly<Record<Name, number>> =>
  Object.fromEntries(order.map((name, index) => [name, index * WORD_BYTES])) as Record<Name, number>;

export const REGISTERS: Readonly<Record<RegisterName, number>> = offsetsOf(ORDER);
export const REGISTERS_BYTES = ORDER.length * WORD_BYTES;

/** In which a function finds its arguments. */
export const PARAMETER_REGISTERS: readonly RegisterName[] = ["di", "si", "dx", "cx", "r8", "r9"];
/** In which it leaves its result. */
export const RESULT_REGISTER: RegisterName = "ax";

/** What of a machine shows in the ctx of probes. */
export interface RegisterFile {
  /** offset by name */
  readonly registers: Readonly<Record<string, number>>;
  /** of a probe's ctx at most; it ends with what only the kernel knows */
  readonly bytes: number;
  /** of the registers in struct bpf_perf_event_data */
  readonly sampledBytes: number;
  readonly parameters: readonly string[];
  readonly result: string;
  /** where the instruction is that was hit */
  readonly address: string;
  /** before the name of a system call's function */
  readonly syscallPrefix: string;
}

export const REGISTER_FILES = {
  x86_64: {
    registers: REGISTERS,
    bytes: REGISTERS_BYTES,
    sampledBytes: REGISTERS_BYTES,
    parameters: PARAMETER_REGISTERS,
    result: RESULT_REGISTER,
    address: "ip",
    syscallPrefix: "__x64_sys_",
  },
  arm64: {
    registers: offsetsOf(ARM64_ORDER),
    // behind struct user_pt_regs: orig_x0, syscallno, pmr, sdei_ttbr1, stackframe, lockdep_hardirqs, exit_rcu; later kernels have less
    bytes: ARM64_ORDER.length * WORD_BYTES + 64,
    sampledBytes: ARM64_ORDER.length * WORD_BYTES,
    parameters: ARM64_ORDER.slice(0, 8),
    result: "x0",
    address: "pc",
    syscallPrefix: "__arm64_sys_",
  },
} as const satisfies Readonly<Record<string, RegisterFile>>;

/** Machines whose probes programs can be for. */
export type Architecture = keyof typeof REGISTER_FILES;
export const DEFAULT_ARCHITECTURE: Architecture = "x86_64";

/** Registers of any of them. */
export type AnyRegisterName = RegisterName | Arm64RegisterName;

export const registerFile = (architecture: Architecture = DEFAULT_ARCHITECTURE): RegisterFile =>
  REGISTER_FILES[architecture];
