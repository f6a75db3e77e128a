/** Instructions that come without an object file → a Program: text assembly with directives, or bare bytecode (raw). */

import * as isa from "../../spec/isa.ts";
import { findAttachBtf, findAttachMember } from "../object/attach.ts";
import type { Btf } from "../object/btf/btf.ts";
import { isLoadable } from "../object/btf/fields.ts";
import { withFields, withoutTypes } from "../object/map-fields.ts";
import { kernelTypes } from "../object/target.ts";
import type { AttachBtf, Program, ProgramFunction, SourceLine } from "../program.ts";
import { readDirectives } from "./directives.ts";
import { type Insn, isWideImmediate } from "./instruction.ts";
import { type Assembly, parseAssembly } from "./parse.ts";
import { targetOf } from "./print.ts";

export interface AssembleOptions {
  /** for messages and line info */
  readonly file?: string;
  /** give the program line info of the text, as BTF.ext would; the verifier's log then quotes it */
  readonly lineInfo?: boolean;
  /** BTF of the kernel whose functions the text calls by name */
  readonly targetBtf?: Btf | null;
}

export interface AssembledProgram {
  readonly program: Program;
  readonly assembly: Assembly;
}

/** A text with `; prog:` and `; map:` directives (directives.ts) → a program. Throws ASM_SYNTAX. */
export function assembleProgram(text: string, options: AssembleOptions = {}): AssembledProgram {
  const directives = readDirectives(text, options.file);
  const assembly = parseAssembly(text, {
    maps: directives.maps.map((map) => map.name),
    kernelFunction: (name) => options.targetBtf?.findByName(name, "func") ?? null,
    struct: (name) => directives.types?.find(name)?.id ?? null,
    kernelVariable: (name) => options.targetBtf?.findByName(name, "var") ?? null,
    ...(options.file === undefined ? {} : { file: options.file }),
  });
  const functions: ProgramFunction[] = [{ insnIndex: 0, name: directives.name, linkage: "global" }];
  for (const entry of assembly.functions) if (entry.insnIndex !== 0) functions.push(entry);
  const isKernelType = kernelTypes({ btf: options.targetBtf ?? null, modules: [] });
  const finished = directives.types?.finish(functions) ?? null;
  // As an object whose BTF the kernel refuses.
  const typed = finished !== null && isLoadable(finished.btf, isKernelType) ? finished : null;
  const program: Program = {
    name: directives.name,
    section: directives.section,
    type: directives.type,
    attachType: directives.attachType,
    attachTarget: directives.target,
    autoload: true,
    sleepable: directives.sleepable,
    license: directives.license,
    insns: assembly.insns,
    functions: typed?.functions ?? functions,
    ...(typed !== null && { btf: typed.btf }),
    lines: options.lineInfo === true ? lineInfo(text, assembly, options.file ?? "") : [],
    maps:
      typed === null
        ? directives.maps.map(withoutTypes)
        : directives.maps.map((map) => withFields(map, typed.btf, NO_SECTIONS, isKernelType)),
    memoryBytes: directives.memoryBytes,
    targetBtf: options.targetBtf ?? null,
  };
  const attachBtf = attachPoint(program, options.targetBtf ?? null);
  return { program: attachBtf === null ? program : { ...program, attachBtf }, assembly };
}

/** `target=` of types that attach to what BTF has; of struct_ops `target=tcp_congestion_ops/ssthresh`. */
function attachPoint(program: Program, btf: Btf | null): AttachBtf | null {
  const { name, type, attachType, attachTarget } = program;
  if (btf === null || attachTarget === null) return null;
  const kernel = { btf, modules: [] };
  if (type === "tracing" || type === "lsm") return findAttachBtf(program, attachType, attachTarget, kernel);
  if (type !== "struct_ops") return null;
  const [struct = "", member = ""] = attachTarget.split("/");
  return findAttachMember(name, struct, member, kernel);
}

const NO_SECTIONS: ReadonlyMap<string, never> = new Map<string, never>();

/** Bare slots as a raw program on `memoryBytes` bytes of memory: what `bpfjit exec` runs. */
export function rawProgram(insns: readonly Insn[], memoryBytes: number): Program {
  const entries = new Set<number>();
  insns.forEach((insn, index) => {
    const target = isEntryReference(insn) ? targetOf(insn, index) : null;
    if (target !== null && target > 0 && target < insns.length) entries.add(target);
  });
  const functions: ProgramFunction[] = [{ insnIndex: 0, name: "raw", linkage: "global" }];
  for (const insnIndex of [...entries].sort((a, b) => a - b))
    functions.push({ insnIndex, name: `sub_${insnIndex}`, linkage: "static" });
  return {
    name: "raw",
    section: "",
    type: "raw",
    attachType: null,
    attachTarget: null,
    autoload: true,
    sleepable: false,
    license: "GPL",
    insns,
    functions,
    lines: [],
    maps: [],
    memoryBytes,
  };
}

/** A call of a subprogram or its address: what begins a function where there is no symbol table. Kernel: add_subprog(). */
function isEntryReference(insn: Insn): boolean {
  if (isWideImmediate(insn)) return insn.src === isa.PSEUDO_LD.FUNC;
  return insn.opcode === (isa.CLASS.JMP | isa.JMP.CALL) && insn.src === isa.PSEUDO_CALL.SUBPROG;
}

function lineInfo(text: string, assembly: Assembly, file: string): SourceLine[] {
  const rows = text.split(/\r\n|\n|\r/);
  const lines: SourceLine[] = [];
  assembly.lines.forEach((line, insnIndex) => {
    if (lines.at(-1)?.line === line) return;
    lines.push({ insnIndex, file, line, column: 0, text: (rows[line - 1] ?? "").trim() });
  });
  return lines;
}
