/**
 * What each type of program may do at all, asked one by one: every place of the context, every helper, every attach type.
 * Small programs, and so many of them that tables are compared with the kernel, not samples of them.
 */
import type { Insn } from "../../compiler/asm/index.ts";
import type { Program } from "../../compiler/program.ts";
import { ctxSpec } from "../../spec/ctx.ts";
import { HELPERS } from "../../spec/helpers.ts";
import { ALU, CLASS, JMP, MODE, SIZE } from "../../spec/isa.ts";
import { PROGRAM_TYPES, type ProgramTypeName, programType } from "../../spec/program-types.ts";
import { ATTACH_TYPES, type AttachTypeName } from "../../spec/sections.ts";

interface Place {
  readonly type: ProgramTypeName;
  readonly attachType: AttachTypeName | null;
}

/** They attach to what the kernel's BTF names; the last is not built into every kernel. */
const OTHERS: ReadonlySet<ProgramTypeName> = new Set(["raw", "tracing", "lsm", "struct_ops", "ext", "lirc_mode2"]);
const TYPES = PROGRAM_TYPES.map(({ name }) => name).filter((name) => !OTHERS.has(name));

const GET_RETVAL = 186;
/** Hung on the kernel's configuration. */
const CONFIGURED = /probe_write_user|override_return/;

/** Every type with every attach type that its rules know of, and none. */
const PLACES: readonly Place[] = TYPES.flatMap((type) => {
  const { attachTypes = [], returnsAs = {} } = programType(type);
  const known = new Set([...attachTypes, ...Object.keys(returnsAs)]) as Set<AttachTypeName>;
  return [null, ...known].map((attachType) => ({ type, attachType }));
});

const insn = (opcode: number, dst = 0, imm = 0, src = 0, off = 0): Insn => ({ opcode, dst, src, off, imm });
const LEAVE: readonly Insn[] = [insn(CLASS.ALU64 | ALU.MOV, 0, 1), insn(CLASS.JMP | JMP.EXIT)];

function program(place: Place, insns: readonly Insn[], license = "GPL"): Program {
  return {
    name: "place",
    section: "",
    ...place,
    attachTarget: null,
    autoload: true,
    sleepable: programType(place.type).sleepable === "only",
    license,
    insns: [...insns, ...LEAVE],
    functions: [{ insnIndex: 0, name: "main", linkage: "global" }],
    lines: [],
    maps: [],
    memoryBytes: 0,
  };
}

const WIDTHS = [
  [1, SIZE.B],
  [2, SIZE.H],
  [4, SIZE.W],
  [8, SIZE.DW],
] as const;
/** Contexts without an end are looked at as far. */
const OPEN_BYTES = 32;

/** Loads and stores at every offset of the context and a little behind it. */
export function* contextAccesses(): Generator<Program> {
  for (const place of PLACES) {
    const spec = ctxSpec(programType(place.type).ctx!);
    const end = (spec.size ?? OPEN_BYTES) + 8;
    for (let offset = 0; offset < end; offset++) {
      for (const [bytes, size] of WIDTHS) {
        yield program(place, [insn(CLASS.LDX | MODE.MEM | size, 2, 0, 1, offset)]);
        if (offset % bytes === 0) yield program(place, [insn(CLASS.ST | MODE.MEM | size, 1, 0, 0, offset)]);
      }
    }
  }
}

/** A call of every helper with the context and nothing else, with a license that opens all of them and with another. */
export function* helperCalls(): Generator<Program> {
  for (const place of PLACES) {
    for (const { id, name } of HELPERS) {
      if (CONFIGURED.test(name)) continue;
      for (const license of ["GPL", "Proprietary"]) {
        yield program(place, [insn(CLASS.JMP | JMP.CALL, 0, id)], license);
      }
    }
  }
}

/** Every type as every attach type: whether it loads, what it may return, whether it sees what the system call returns. */
export function* attachments(): Generator<Program> {
  for (const type of TYPES) {
    for (const attachType of ATTACH_TYPES) {
      const place = { type, attachType };
      yield program(place, []);
      for (const value of [-1, 0, 2, 4]) {
        yield { ...program(place, []), insns: [insn(CLASS.ALU64 | ALU.MOV, 0, value), insn(CLASS.JMP | JMP.EXIT)] };
      }
      yield program(place, [insn(CLASS.JMP | JMP.CALL, 0, GET_RETVAL)]);
    }
  }
}
