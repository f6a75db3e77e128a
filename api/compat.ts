/**
 * Would an object load on that kernel? Its programs are prepared for the kernel's BTF as for loading, and what would stop
 * each is listed: fields, types, kernel functions and attach points that the BTF lacks; helpers, map types, program and
 * attach types and instructions that are too new. Only what some path reaches counts: guarded accesses may be missing.
 * The programs are not verified.
 */
import type { BpfError } from "../base/index.ts";
import { type Program, type ProgramOutcome, reachedInsns, readObject } from "../compiler/front.ts";
import type { ErrorCode, MapSpec, ProgramTypeName } from "../spec/index.ts";
import { Features } from "./features.ts";
import type { KernelTarget } from "./target.ts";

export interface CompatProblem {
  readonly kind:
    | "relocation"
    | "kfunc"
    | "extern"
    | "attach"
    | "helper"
    | "mapType"
    | "programType"
    | "attachType"
    | "instruction"
    | "object";
  /** what is missing: `struct task_struct.state`, `bpf_ringbuf_output`, `ringbuf`, `fentry` … */
  readonly name: string;
  readonly message: string;
  /** the kernel that brought it, where the tables know */
  readonly since: string | null;
  readonly insnIndex: number | null;
}

export interface ProgramCompat {
  readonly program: string;
  readonly section: string;
  readonly type: ProgramTypeName | null;
  /** libbpf loads it unless told otherwise */
  readonly autoload: boolean;
  readonly loads: boolean;
  readonly problems: readonly CompatProblem[];
  /** relocations that the kernel cannot satisfy and that nothing reaches: `struct task_struct.state` */
  readonly guarded: readonly string[];
}

export interface ObjectCompat {
  readonly kernel: string;
  /** null: not known, so what the BTF does not show is not judged */
  readonly kernelVersion: number | null;
  /** the maps and every program that is loaded by default */
  readonly loads: boolean;
  /** of the maps, or of the object as a whole */
  readonly problems: readonly CompatProblem[];
  readonly programs: readonly ProgramCompat[];
}

export interface CompatOptions {
  /** shown in messages */
  readonly name?: string;
}

/** Throws ObjectError where the object cannot be read at all, whatever the kernel. */
export function compatObject(bytes: Uint8Array, kernel: KernelTarget, options: CompatOptions = {}): ObjectCompat {
  const { kernel: name, ...target } = kernel;
  const object = readObject(bytes, {
    ...target,
    ...(options.name !== undefined && { name: options.name }),
    purpose: "judge",
  });
  const features = new Features(kernel.targetBtf, kernel.kernelVersion ?? null);
  const problems = object.maps.flatMap((map) => mapProblems(map, features));
  const programs = object.programs.map((outcome) => programCompat(outcome, features));
  return {
    kernel: name,
    kernelVersion: kernel.kernelVersion ?? null,
    loads: problems.length === 0 && programs.every(({ loads, autoload }) => loads || !autoload),
    problems,
    programs,
  };
}

function mapProblems(map: MapSpec, features: Features): CompatProblem[] {
  const own = features.lacksMapType(map.type);
  const problems =
    own === null ? [] : [tooNew("mapType", map.type, `map ${map.name} is of type ${map.type}`, own, null)];
  return map.inner === null ? problems : [...problems, ...mapProblems(map.inner, features)];
}

function programCompat(outcome: ProgramOutcome, features: Features): ProgramCompat {
  const { program } = outcome;
  const problems: CompatProblem[] = outcome.ok ? [] : [failureProblem(outcome.error)];
  const guarded: string[] = [];
  if (program !== undefined) {
    problems.push(...kindProblems(program, features));
    const reached = reachedInsns(program);
    for (const [insnIndex, missing] of program.missing ?? []) {
      const name = missing.member === null ? missing.type : `${missing.type}.${missing.member}`;
      if (reached[insnIndex] === 1)
        problems.push({
          kind: missing.kind === "kfunc" ? "kfunc" : "relocation",
          name,
          message: missing.text,
          since: null,
          insnIndex,
        });
      else guarded.push(name);
    }
    problems.push(...instructionProblems(program, reached, features));
  }
  return {
    program: program?.name ?? (outcome as Extract<ProgramOutcome, { ok: false }>).name,
    section: program?.section ?? (outcome as Extract<ProgramOutcome, { ok: false }>).section,
    type: program?.type ?? (outcome as Extract<ProgramOutcome, { ok: false }>).type,
    autoload: program?.autoload ?? !(outcome as Extract<ProgramOutcome, { ok: false }>).section.startsWith("?"),
    loads: problems.length === 0,
    problems: once(problems),
    guarded: [...new Set(guarded)],
  };
}

const KINDS: Partial<Record<ErrorCode, CompatProblem["kind"]>> = {
  KFUNC_MISSING: "kfunc",
  EXTERN_UNRESOLVED: "extern",
  ATTACH_BTF_MISSING: "attach",
  CORE_UNRESOLVED: "relocation",
  CORE_AMBIGUOUS: "relocation",
};

/** What readObject() could not do with the program. */
function failureProblem(error: BpfError): CompatProblem {
  const kind = KINDS[error.code] ?? "object";
  return { kind, name: error.where.symbol ?? error.code, message: error.message, since: null, insnIndex: null };
}

function kindProblems(program: Program, features: Features): CompatProblem[] {
  const { name, type, attachType, section } = program;
  const lackingType = features.lacksProgramType(type);
  if (lackingType !== null)
    return [tooNew("programType", type, `program ${name} is of type ${type}`, lackingType, null)];
  const lacking = attachType === null ? null : features.lacksAttachType(attachType, section);
  return lacking === null
    ? []
    : [tooNew("attachType", attachType!, `program ${name} attaches as ${attachType}`, lacking, null)];
}

function instructionProblems(program: Program, reached: Uint8Array, features: Features): CompatProblem[] {
  const problems: CompatProblem[] = [];
  for (const [insnIndex, insn] of program.insns.entries()) {
    if (reached[insnIndex] !== 1 || program.missing?.has(insnIndex)) continue;
    const helper = features.lacksHelper(insn);
    if (helper !== null) problems.push(tooNew("helper", helper.name, `it calls ${helper.name}`, helper, insnIndex));
    const form = features.lacksInstruction(insn);
    if (form !== null) problems.push(tooNew("instruction", form.name, `it has ${form.name}`, form, insnIndex));
  }
  return problems;
}

function tooNew(
  kind: CompatProblem["kind"],
  name: string,
  what: string,
  { since }: { readonly since: string | null },
  insnIndex: number | null,
): CompatProblem {
  const when = since === null ? "which this kernel does not have" : `which kernels have since ${since}`;
  return { kind, name, message: `${what}, ${when}`, since, insnIndex };
}

/** The same thing is missing at every place that uses it: the first stands for all. */
function once(problems: readonly CompatProblem[]): CompatProblem[] {
  const seen = new Set<string>();
  return problems.filter(({ kind, name }) => {
    const key = `${kind} ${name}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
