/**
 * What flows through the compiler: a program as the object layer leaves it (relocated, subprograms appended, as libbpf
 * would hand it to the kernel), and the same program verified, with what the verifier learned.
 */
import type { Architecture, AttachTypeName, BufferBytes, CType, MapSpec, ProgramTypeName } from "../spec/index.ts";
import type { Insn } from "./asm/instruction.ts";
import type { Btf } from "./object/btf/btf.ts";

export interface Program {
  readonly name: string;
  /** SEC name; empty where there is none (raw, assembly) */
  readonly section: string;
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | null;
  /** what the section name says behind its prefix: `sched/sched_switch` */
  readonly attachTarget: string | null;
  readonly autoload: boolean;
  /** the struct that the main function takes a pointer to, at the offsets its code has; absent: none, or no BTF */
  readonly ctxType?: CType;
  /** what it attaches to, for types that attach to a BTF id; absent where the section names nothing or needs none */
  readonly attachBtf?: AttachBtf;
  readonly sleepable: boolean;
  readonly license: string;
  /** slots as in the kernel: a 64-bit immediate takes two, the second with opcode 0 */
  readonly insns: readonly Insn[];
  /** the main function at 0, then subprograms, ascending */
  readonly functions: readonly ProgramFunction[];
  /** by insnIndex: what CO-RE could not resolve; harmless where no path reaches it */
  readonly missing?: ReadonlyMap<number, MissingRelocation>;
  /** ascending by insnIndex; a line holds until the next */
  readonly lines: readonly SourceLine[];
  /** all maps of the object; BPF_PSEUDO_MAP_* immediates are indices into it */
  readonly maps: readonly MapSpec[];
  /** raw only: bytes that r1 points to; r2 is this number */
  readonly memoryBytes: number;
  /** the object's BTF, which `functions[].type` counts in; absent or null where there is none */
  readonly btf?: Btf | null;
  /** BTF of kernel modules that calls and variables are in: the number in `off` of a call counts from 1 */
  readonly modules?: readonly { readonly name: string; readonly btf: Btf }[];
  /** BTF of the kernel that the program was prepared for; absent or null where there was none */
  readonly targetBtf?: Btf | null;
  /** of the machine that it was prepared for; absent: x86_64 */
  readonly architecture?: Architecture;
  /** names of helpers that it calls and that this kernel's configuration takes away; absent: none */
  readonly withheldHelpers?: readonly string[];
  /** symbols that this kernel lists; absent: not known, so that all its variables count as listed */
  readonly targetSymbols?: { get(name: string): bigint | undefined };
}

/** A function, a typedef of a tracepoint, or a struct of functions, in the target's BTF. */
export interface AttachBtf {
  readonly id: number;
  /** null: the kernel itself */
  readonly module: string | null;
  /** BTF that the id counts in */
  readonly btf: Btf;
  /** `vfs_read`, `bpf_lsm_file_open`, `btf_trace_sched_switch`; of struct_ops the struct */
  readonly name: string;
  /** struct_ops: index of the struct's member that the program fills */
  readonly member?: number;
}

/** A CO-RE relocation or weak kernel function that the target cannot satisfy: a call that no verifier accepts. */
export interface MissingRelocation {
  /** as in enum bpf_core_relo_kind: `fieldOffset`, `typeSize`, …; `kfunc` */
  readonly kind: string;
  /** `struct task_struct`, or the function */
  readonly type: string;
  /** path of the field, or the enumerator; null: the type itself is missing */
  readonly member: string | null;
  /** the same as a sentence's part */
  readonly text: string;
}

export interface ProgramFunction {
  readonly insnIndex: number;
  readonly name: string;
  readonly linkage: "static" | "global";
  /** id of its func in the object's BTF */
  readonly type?: number;
}

export interface SourceLine {
  readonly insnIndex: number;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** trimmed */
  readonly text: string;
  /** characters of white space that stand before `text` in the file, which `column` counts; absent: none */
  readonly indent?: number;
}

/** The line an instruction belongs to, null without line info. */
export function sourceLineAt(program: Program, insnIndex: number): SourceLine | null {
  let low = 0;
  let high = program.lines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (program.lines[middle]!.insnIndex <= insnIndex) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? null : program.lines[low - 1]!;
}

/** Kinds of memory that an access may reach; facts hold the set over all paths as bits. */
export const POINTER = {
  ctx: 1,
  stack: 2,
  mapValue: 4,
  packet: 8,
  /** ring records, raw memory, callback arguments and whatever else is plain bytes of known length */
  memory: 16,
  mapKey: 32,
  /** a pointer with a kernel type: loads are checked (probe_load) */
  btf: 64,
  /** a map itself: the fields of the kernel's struct */
  map: 128,
  /** an object on the stack that would lie right above the frame, where the kernel lets a call look for it */
  aboveFrame: 256,
} as const;

/** What the verifier knows of one instruction, over all paths that reach it. */
export interface InsnFacts {
  /** loads, stores, atomics: bits of POINTER */
  readonly pointer: number;
  /** loads, stores, atomics: largest power of two (≤ 8) that divides the address on every path */
  readonly alignment: number;
  /** ctx accesses: byte offset in the ctx */
  readonly ctxOffset: number | null;
  /** helper calls: index of the map argument where it is the same on every path */
  readonly map: number | null;
  /** calls with a callback: insnIndex of every subprogram it can be */
  readonly callbacks: readonly number[];
  /** bpf_loop(): the kernel writes the loop into the program, where it is not quite the helper's */
  readonly isInlined: boolean;
  /** r1 … r5 at a call where constant on every path */
  readonly constants: readonly (bigint | null)[];
  /** conditional jumps: outcomes that some path takes */
  readonly branch: "both" | "taken" | "fallthrough" | null;
}

export interface ProgramFacts {
  /** by slot; null: no path reaches it */
  readonly insns: readonly (InsnFacts | null)[];
  /** instructions processed on the way */
  readonly processedInsns: number;
  /** of buffers whose length is not known here: bytes that some path reads or writes, from their start, see checkBufferAccess() */
  readonly bufferBytes: BufferBytes;
  /** bytes of stack by function, rounded up to 8, in the order of `functions` */
  readonly stackBytes: readonly number[];
}

declare const proof: unique symbol;
/** Only verify() makes one. */
export type VerifiedProgram = Program & { readonly facts: ProgramFacts; readonly [proof]: "accepted" };

/** Not verified: every access is checked at run time (exec --no-verify). Helpers, maps and contexts are out of reach. */
export interface UncheckedProgram extends Program {
  readonly type: "raw";
  readonly unchecked: true;
}
