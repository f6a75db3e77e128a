/**
 * What each type of program may touch, asked with programs of a few instructions: which helpers it may call, which bytes of
 * the context it may read and write in which sizes, what it may return, as what it may be loaded. A page of answers per
 * type and attach type, a letter an answer, so that two judges' pages can be compared and kept.
 */
import type { Insn } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/index.ts";
import { findAttachBtf, findAttachMember } from "../../compiler/object/attach.ts";
import type { AttachBtf } from "../../compiler/program.ts";
import { CTX, HELPERS, PROGRAM_TYPES, type ProgramTypeName } from "../../spec/index.ts";
import { ATTACH_TYPES, type AttachTypeName } from "../../spec/sections.ts";
import { targetBtf } from "../filetests/runner/target.ts";

export interface Verdict {
  readonly errno: string | null;
  readonly message: string | null;
}

/** Questions with one line of answers. */
export interface Question {
  /** `cgroup_skb cgroup_inet_egress returns` */
  readonly name: string;
  readonly programs: readonly Program[];
  /** the letter that an answer is written as */
  readonly letter: (verdict: Verdict) => string;
}

interface Kind {
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | null;
  readonly sleepable: boolean;
  /** for those that attach to what the kernel's BTF has: a function's name; of struct_ops `tcp_congestion_ops/ssthresh` */
  readonly target?: string;
}

const ALU64_MOV_K = 0xb7;
const ALU64_ADD_X = 0x0f;
const CALL = 0x85;
const EXIT = 0x95;
const LDX = { 1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79 } as const;
const STX = { 1: 0x73, 2: 0x6b, 4: 0x63, 8: 0x7b } as const;
const SIZES = [1, 2, 4, 8] as const;

const insn = (opcode: number, dst: number, src: number, off: number, imm: number): Insn => ({
  opcode,
  dst,
  src,
  off,
  imm,
});
const setR0 = (value: number): Insn => insn(ALU64_MOV_K, 0, 0, 0, value);
const exit = insn(EXIT, 0, 0, 0, 0);

function program({ target, ...kind }: Kind, insns: readonly Insn[]): Program {
  return {
    name: "surface",
    section: "",
    ...kind,
    attachTarget: target ?? null,
    targetBtf: targetBtf(),
    ...(target !== undefined && { attachBtf: attachPoint(kind, target) }),
    autoload: true,
    license: "GPL",
    insns,
    functions: [{ insnIndex: 0, name: "surface", linkage: "global" }],
    lines: [],
    maps: [],
    memoryBytes: 0,
  };
}

const attached = new Map<string, AttachBtf>();

function attachPoint({ type, attachType }: Kind, target: string): AttachBtf {
  const name = `${type} ${attachType} ${target}`;
  const kernel = { btf: targetBtf(), modules: [] };
  const [struct = "", member = ""] = target.split("/");
  const point =
    attached.get(name) ??
    (type === "struct_ops"
      ? findAttachMember("surface", struct, member, kernel)
      : findAttachBtf({ name: "surface", type }, attachType, target, kernel));
  attached.set(name, point);
  return point;
}

/** Some of the places that a BTF id stands for. */
const HOOKS: readonly Kind[] = [
  { type: "tracing", attachType: "trace_raw_tp", target: "sched_switch", sleepable: false },
  { type: "tracing", attachType: "trace_iter", target: "task", sleepable: false },
  { type: "tracing", attachType: "trace_iter", target: "task", sleepable: true },
  { type: "tracing", attachType: "trace_iter", target: "tcp", sleepable: false },
  { type: "tracing", attachType: "trace_iter", target: "bpf_map_elem", sleepable: false },
  { type: "struct_ops", attachType: null, target: "tcp_congestion_ops/ssthresh", sleepable: false },
  { type: "struct_ops", attachType: null, target: "tcp_congestion_ops/ssthresh", sleepable: true },
  { type: "struct_ops", attachType: null, target: "tcp_congestion_ops/release", sleepable: false },
  { type: "struct_ops", attachType: null, target: "bpf_dummy_ops/test_1", sleepable: false },
  { type: "netfilter", attachType: "netfilter", sleepable: false },
];

/** Types whose loads this kernel refuses or that need a BTF id to attach to. */
const NOT_ASKED: readonly ProgramTypeName[] = ["raw", "lirc_mode2", "tracing", "struct_ops", "ext", "lsm", "netfilter"];

/** That change something, though the kernel does not check them at load. */
const OTHER_ATTACH_TYPES: Partial<Record<ProgramTypeName, readonly AttachTypeName[]>> = {
  xdp: ["xdp_devmap"],
  cgroup_device: ["cgroup_device"],
  cgroup_sysctl: ["cgroup_sysctl"],
  sock_ops: ["cgroup_sock_ops"],
};

/** Every type with each attach type that it may have, and sleepable where that may be. */
function kinds(): Kind[] {
  return PROGRAM_TYPES.filter(({ name }) => !NOT_ASKED.includes(name)).flatMap(({ name: type, ...spec }) => {
    const listed = spec.attachTypes ?? Object.keys(spec.returnsAs ?? {});
    const attachTypes = [null, ...listed, ...(OTHER_ATTACH_TYPES[type] ?? [])] as (AttachTypeName | null)[];
    const usable = attachTypes.filter((one) => one !== null || !spec.attachTypes || spec.attachDefault);
    return usable.flatMap((attachType) => {
      if (spec.sleepable === "only") return [{ type, attachType, sleepable: true }];
      const plain = { type, attachType, sleepable: false };
      return spec.sleepable ? [plain, { ...plain, sleepable: true }] : [plain];
    });
  });
}

const nameOf = ({ type, attachType, sleepable, target }: Kind): string =>
  [type, attachType ?? "-", ...(target ? [target] : []), ...(sleepable ? ["sleepable"] : [])].join(" ");

export function questions(): Question[] {
  return [
    ...[...kinds(), ...HOOKS].flatMap((kind) => [helperQuestion(kind), ...contextQuestions(kind)]),
    ...attachQuestions(),
  ];
}

/** `+` may call it, `-` may not, `s` only if it may sleep; by id from 1. */
function helperQuestion(kind: Kind): Question {
  return {
    name: `${nameOf(kind)} helpers`,
    programs: HELPERS.map(({ id }) => program(kind, [setR0(1), insn(CALL, 0, 0, 0, id), setR0(1), exit])),
    letter: ({ message }) => {
      if (message?.includes("program of this type cannot use helper")) return "-";
      return message?.includes("helper call might sleep") ? "s" : "+";
    },
  };
}

const MOST_CONTEXT_BYTES = 232;

/** `.` no, `r` a number, `P` a pointer, `w` yes: reads, then writes of 1, 2, 4, 8 bytes, by offset. */
function contextQuestions(kind: Kind): Question[] {
  const spec = PROGRAM_TYPES.find(({ name }) => name === kind.type)!;
  const bytes = Math.min(MOST_CONTEXT_BYTES, (CTX[spec.ctx!].size ?? 96) + 8);
  const aligned = SIZES.flatMap((size) =>
    Array.from({ length: Math.ceil(bytes / size) }, (_, index) => ({ size, off: index * size })),
  );
  const places = [...aligned, { size: 2, off: 21 }, { size: 4, off: 22 }, { size: 8, off: 12 }] as const;
  const isRefused = ({ message }: Verdict): boolean => message?.startsWith("invalid bpf_context access") === true;
  return [
    {
      name: `${nameOf(kind)} reads`,
      // Twice a pointer is refused, twice a number is not.
      programs: places.map(({ size, off }) =>
        program(kind, [insn(LDX[size], 2, 1, off, 0), insn(ALU64_ADD_X, 2, 2, 0, 0), setR0(1), exit]),
      ),
      letter: (verdict) => (verdict.errno === null ? "r" : isRefused(verdict) ? "." : "P"),
    },
    {
      name: `${nameOf(kind)} writes`,
      programs: places.map(({ size, off }) =>
        program(kind, [insn(ALU64_MOV_K, 2, 0, 0, 0), insn(STX[size], 1, 2, off, 0), setR0(1), exit]),
      ),
      letter: (verdict) => (verdict.errno === null ? "w" : isRefused(verdict) ? "." : "?"),
    },
  ];
}

const RESULTS = [-2, -1, 0, 1, 2, 3, 4, 5];

/** What may be returned, by attach type: `+` yes, `-` no, `?` the load is refused whatever it returns. */
function attachQuestions(): Question[] {
  return PROGRAM_TYPES.filter(({ name }) => !NOT_ASKED.includes(name)).flatMap(({ name: type, sleepable }) =>
    [null, ...ATTACH_TYPES].map((attachType) => ({
      name: `${type} ${attachType ?? "-"} returns`,
      programs: RESULTS.map((result) =>
        program({ type, attachType, sleepable: sleepable === "only" }, [setR0(result), exit]),
      ),
      letter: ({ errno, message }: Verdict) =>
        errno === null ? "+" : message?.startsWith("At program exit") ? "-" : "?",
    })),
  );
}
