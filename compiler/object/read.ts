/**
 * An object file → its maps and programs, each program as libbpf would hand it to the kernel, except that map references
 * are indices into the object's maps instead of descriptors. What is wrong with the file or its maps is thrown; what is
 * wrong with a program is that program's outcome and hides no other.
 */
import { BpfError, ObjectError, UnsupportedError } from "../../base/index.ts";
import type { Architecture, CType, MapSpec, ProgramTypeName, SectionSpec } from "../../spec/index.ts";
import { DEFAULT_ARCHITECTURE, findSection } from "../../spec/index.ts";
import type { MissingRelocation, Program, ProgramFunction } from "../program.ts";
import { architectureOf } from "./architecture.ts";
import { findAttachBtf, findAttachMember } from "./attach.ts";
import { Btf } from "./btf/btf.ts";
import { type BtfExt, readBtfExt } from "./btf/ext.ts";
import { isLoadable } from "./btf/fields.ts";
import { applyCoreRelocations } from "./core/relocate.ts";
import { ctxType } from "./ctx-type.ts";
import { type DataSection, haveRoom, readDataSections } from "./datasec.ts";
import { DebugInfo } from "./debug.ts";
import { type Edits, editMap, guessType, type ProgramEdit, sizeAtRunTime } from "./edits.ts";
import { isElf, parseElf } from "./elf.ts";
import { ExternTable, readExterns } from "./externs.ts";
import { type FunctionTable, type ObjectFunction, readFunctions } from "./functions.ts";
import { type Layout, layOut } from "./layout.ts";
import { type LinkContext, type Linked, linkProgram } from "./link.ts";
import { withFields, withoutTypes } from "./map-fields.ts";
import { dataMap, fillSlots, type MapSources, readMaps } from "./maps.ts";
import { recordRelocations } from "./relocations.ts";
import { addStructOps, missingStructOps } from "./struct-ops.ts";
import {
  configVersion,
  DEFAULT_KERNEL_VERSION,
  kernelTypes,
  type ModuleBtf,
  parseConfig,
  type SymbolAddresses,
  type Target,
} from "./target.ts";
import { recordTypes } from "./types.ts";
import { withheldFrom, withheldHelpers } from "./withheld.ts";

/** Slots of all programs of an object together; subprograms count in each program that has them. */
const MOST_SLOTS = 1 << 22;

export interface ReadOptions {
  /** shown in messages; names internal maps as the file's name does with libbpf */
  readonly name?: string;
  /** BTF of the kernel that the programs are prepared for: CO-RE, kernel functions and variables */
  readonly targetBtf?: Btf | null;
  /** program types by name of program or section, for sections that libbpf does not know */
  readonly types?: Readonly<Record<string, ProgramTypeName>>;
  /** BTF of that kernel's modules, split on `targetBtf` */
  readonly modules?: readonly ModuleBtf[];
  /** machine that the programs are prepared for; unless given: that of `targetBtf`, else x86_64 */
  readonly architecture?: Architecture;
  /** LINUX_KERNEL_VERSION; unless given: that of `kconfig`, else 6.18 */
  readonly kernelVersion?: number;
  /** text of a kernel configuration file, for `__kconfig` variables; a whole one also tells which helpers the kernel has */
  readonly kconfig?: string;
  /** addresses of kernel symbols, for `__ksym` variables without type */
  readonly symbols?: SymbolAddresses;
  /** what user space changes before it loads the object */
  readonly edits?: Edits;
  /**
   * "judge": as if user space had done what every loader of such an object does: maps that it sizes have a size, programs
   * of unknown sections the type that the name suggests; kernel symbols, and a configuration, that are not given are there.
   * What keeps libbpf from loading the object fails every program then, otherwise those only that it concerns.
   */
  readonly purpose?: "load" | "judge";
}

export type ProgramOutcome =
  | { readonly ok: true; readonly program: Program }
  | {
      readonly ok: false;
      readonly name: string;
      readonly section: string;
      readonly type: ProgramTypeName | null;
      /** slots of the program's own function */
      readonly insns: number;
      readonly error: BpfError;
      /** complete but for what it attaches to, where only that is missing */
      readonly program?: Program;
    };

export interface ObjectSection {
  readonly name: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export interface BpfObject {
  readonly name: string;
  readonly license: string;
  /** of the `version` section */
  readonly kernelVersion: number | null;
  readonly maps: readonly MapSpec[];
  readonly programs: readonly ProgramOutcome[];
  readonly btf: Btf | null;
  /** structs and unions that the programs define, by name */
  readonly types: Readonly<Record<string, CType>>;
  readonly sections: readonly ObjectSection[];
}

/** Throws a BpfError where the file is no BPF object or its maps or BTF cannot be used. */
export function readObject(bytes: Uint8Array, options: ReadOptions = {}): BpfObject {
  const name = objectName(options.name ?? "");
  // A Buffer's slice() is no copy.
  const layout = layOut(parseElf(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)));
  const { btf, ext } = readObjectBtf(layout);
  const functions = readFunctions(layout);
  const isJudged = options.purpose === "judge";
  const target: Target = {
    btf: options.targetBtf ?? null,
    modules: options.modules ?? [],
    kernelVersion: options.kernelVersion ?? configVersion(options.kconfig ?? "") ?? DEFAULT_KERNEL_VERSION,
    config: parseConfig(options.kconfig ?? ""),
    symbols: options.symbols ?? new Map(),
    listed: options.symbols ?? null,
    hasAllSymbols: isJudged,
    hasAllConfig: isJudged && options.kconfig === undefined,
  };
  const dataSections: ReadonlyMap<string, DataSection> = btf === null ? new Map() : readDataSections(layout.elf, btf);
  const sources: MapSources = { layout, btf, dataSections, objectName: name };
  const maps = readMaps(sources);
  fillSlots(layout, maps, functions.all);
  const externs = new ExternTable(readExterns(layout, btf), btf, target);
  const configMap =
    externs.config === null
      ? null
      : maps.add(dataMap(sources, externs.configSection(".kconfig"), externs.config, true, null));
  addStructOps(sources, maps, functions);
  if (isJudged) maps.change(sizeAtRunTime);
  const mapEdits = options.edits?.maps ?? {};
  maps.change((spec) => (Object.hasOwn(mapEdits, spec.name) ? editMap(spec, mapEdits[spec.name]!) : spec));
  const isKernelType = kernelTypes(target);
  // What the kernel refuses libbpf loads the object without.
  const loaded = btf !== null && haveRoom(dataSections, btf) && isLoadable(btf, isKernelType) ? btf : null;
  maps.change((spec) => (loaded === null ? withoutTypes(spec) : withFields(spec, loaded, dataSections, isKernelType)));
  recordRelocations(layout, functions, {
    mapAt: (offset) => maps.mapAt(offset),
    dataMapOf: (section) => maps.dataMapOf(section),
    externOf: (symbol) => externs.externOf(symbol),
  });
  if (btf !== null && ext !== null) applyCoreRelocations(functions, layout, btf, ext, target);
  const context: ProgramContext = {
    name,
    license: layout.license,
    maps: maps.all.map((map) => map.spec),
    link: { functions, text: layout.text, externs, configMap, budget: { slots: MOST_SLOTS } },
    debug: new DebugInfo(btf, ext),
    isTyped: loaded !== null,
    callbacks: exceptionCallbacks(btf, functions),
    types: options.types ?? {},
    edits: options.edits?.programs ?? {},
    isJudged,
    refusal: isJudged ? (externs.problem() ?? missingStructOps(maps.all, target)) : null,
    target,
    architecture: options.architecture ?? (target.btf === null ? DEFAULT_ARCHITECTURE : architectureOf(target.btf)),
    btf,
    withheld: withheldHelpers(options.kconfig ?? "", target.config),
    ctxTypeOf: (program) => ctxType(btf, ext, target.btf, program),
  };
  return {
    name,
    license: layout.license,
    kernelVersion: layout.kernelVersion,
    maps: context.maps,
    programs: functions.all.filter((fn) => !fn.isSubprogram).map((fn) => readProgram(fn, context)),
    btf,
    get types() {
      const types = recordTypes(btf, ext);
      Object.defineProperty(this, "types", { value: types, enumerable: true });
      return types;
    },
    sections: layout.elf.sections.slice(1).map((section) => ({
      name: section.name,
      offsetBytes: section.offset,
      sizeBytes: section.size,
    })),
  };
}

/** BTF by itself, or the .BTF section of an ELF file of any machine. `base`: the kernel's, for that of a module. */
export function readBtf(bytes: Uint8Array, base: Btf | null = null): Btf {
  if (!isElf(bytes)) return new Btf(bytes, base);
  const { sections } = parseElf(bytes);
  const section = sections.find(({ name }) => name === ".BTF");
  if (section === undefined) throw new ObjectError("BTF_MISSING", "the ELF file has no .BTF section");
  if (sections.some(({ name }) => name === ".BTF.base"))
    throw new UnsupportedError(
      "UNSUPPORTED_FEATURE",
      "distilled base BTF",
      "the module's BTF is built on a distilled base (.BTF.base)",
      { hint: "take the one in /sys/kernel/btf of a kernel that has the module loaded" },
    );
  return new Btf(section.data, base);
}

/** `/path/execsnoop.bpf.o` → `execsnoop`, `C:\path\execsnoop.bpf.o` too */
function objectName(name: string): string {
  const file = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
  const dot = file.indexOf(".");
  return dot < 0 ? file : file.slice(0, dot);
}

/**
 * Malformed BTF is as good as none where nothing needs it, and malformed .BTF.ext always is: libbpf warns and goes on.
 */
function readObjectBtf(layout: Layout): { btf: Btf | null; ext: BtfExt | null } {
  let btf: Btf | null = null;
  try {
    if (layout.btf !== null) {
      btf = new Btf(layout.btf.data);
      btf.validate();
    }
  } catch (error) {
    if (!(error instanceof BpfError) || needsBtf(layout)) throw error;
    return { btf: null, ext: null };
  }
  if (btf === null) {
    if (needsBtf(layout)) throw new ObjectError("BTF_MISSING", "the object defines maps and has no BTF");
    return { btf, ext: null };
  }
  try {
    return { btf, ext: layout.btfExt === null ? null : readBtfExt(layout.btfExt.data, btf) };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    return { btf, ext: null };
  }
}

const needsBtf = (layout: Layout): boolean => layout.maps !== null || layout.structOps.length > 0;

interface ProgramContext {
  readonly name: string;
  readonly license: string;
  readonly maps: readonly MapSpec[];
  readonly link: LinkContext;
  readonly debug: DebugInfo;
  readonly callbacks: ReadonlyMap<string, ObjectFunction | BpfError>;
  readonly types: Readonly<Record<string, ProgramTypeName>>;
  readonly edits: Readonly<Record<string, ProgramEdit>>;
  readonly isJudged: boolean;
  /** libbpf loads no program of the object */
  readonly refusal: BpfError | null;
  readonly target: Target;
  readonly architecture: Architecture;
  readonly btf: Btf | null;
  /** the kernel has the BTF */
  readonly isTyped: boolean;
  /** helpers that the target does not have, by id */
  readonly withheld: ReadonlyMap<number, string>;
  readonly ctxTypeOf: (program: string) => CType | undefined;
}

function readProgram(fn: ObjectFunction, context: ProgramContext): ProgramOutcome {
  const isLoaded = !fn.section.name.startsWith("?");
  const section = isLoaded ? fn.section.name : fn.section.name.slice(1);
  const spec = findSection(section);
  const edit = ownValue(context.edits, fn.name) ?? {};
  const type =
    edit.type ??
    ownValue(context.types, fn.name) ??
    ownValue(context.types, section) ??
    spec?.type ??
    (context.isJudged ? guessType(section) : null);
  let program: Program | undefined;
  try {
    if (context.refusal !== null) throw context.refusal;
    if (type === null)
      throw new ObjectError("SECTION_UNKNOWN", `section ${section} of program ${fn.name} says no program type`, {
        where: { section, program: fn.name },
      });
    const callback = context.callbacks.get(fn.name) ?? null;
    if (callback instanceof BpfError) throw callback;
    const linked = linkProgram(fn, context.link, callback);
    const struct = type === "tracepoint" ? context.ctxTypeOf(fn.name) : undefined;
    const { target } = context;
    const { modules } = context.link.externs;
    const withheld = withheldFrom(linked.insns, context.withheld);
    program = {
      name: fn.name,
      section: fn.section.name,
      type,
      attachType: edit.attachType !== undefined ? edit.attachType : spec?.type === type ? spec.attachType : null,
      attachTarget: edit.attachTarget !== undefined ? edit.attachTarget : targetOf(section, spec),
      autoload: edit.autoload ?? isLoaded,
      ...(struct !== undefined && { ctxType: struct }),
      sleepable: spec?.sleepable ?? false,
      license: context.license,
      insns: linked.insns,
      functions: functionsOf(context, linked),
      lines: context.debug.linesOf(linked.parts),
      missing: missingOf(linked),
      maps: context.maps,
      memoryBytes: 0,
      btf: context.isTyped ? context.btf : null,
      targetBtf: target.btf,
      ...(target.listed !== null && { targetSymbols: target.listed }),
      ...(modules.length > 0 && { modules }),
      ...(withheld.length > 0 && { withheldHelpers: withheld }),
      ...(context.architecture !== DEFAULT_ARCHITECTURE && { architecture: context.architecture }),
    };
    if (type === "struct_ops") return { ok: true, program: withMember(program, target) };
    if (!ATTACHES_TO_BTF.has(type)) return { ok: true, program };
    const { attachType, attachTarget } = program;
    return { ok: true, program: { ...program, attachBtf: findAttachBtf(program, attachType, attachTarget, target) } };
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    const outcome = { ok: false, name: fn.name, section: fn.section.name, type, insns: fn.count, error } as const;
    return program === undefined ? outcome : { ...outcome, program };
  }
}

const ATTACHES_TO_BTF: ReadonlySet<ProgramTypeName> = new Set<ProgramTypeName>(["tracing", "lsm", "ext"]);

/** The member of a struct_ops map that the program is in; the program as it is where no map has it. */
function withMember(program: Program, target: Target): Program {
  if (target.btf === null) return program;
  for (const { valueType, programs } of program.maps) {
    if (valueType?.kind !== "struct") continue;
    const filled = programs.find((known) => known.program === program.name);
    const member = filled === undefined ? undefined : valueType.members[filled.index];
    if (member === undefined) continue;
    return { ...program, attachBtf: findAttachMember(program.name, valueType.name, member.name, target) };
  }
  return program;
}

/** Without types the kernel tells global functions from others no more. */
function functionsOf({ debug, isTyped }: ProgramContext, { parts }: Linked): readonly ProgramFunction[] {
  const functions = debug.functionsOf(parts);
  if (isTyped) return functions;
  return functions.map(({ insnIndex, name }, index) => ({
    insnIndex,
    name,
    linkage: index === 0 ? "global" : "static",
  }));
}

function missingOf({ parts, missing: calls }: Linked): Map<number, MissingRelocation> {
  const missing = new Map(calls);
  for (const { fn, start } of parts) for (const [slot, relocation] of fn.missing) missing.set(start + slot, relocation);
  return missing;
}

const ownValue = <T>(record: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined;

function targetOf(section: string, spec: SectionSpec | null): string | null {
  return spec !== null && section.length > spec.prefix.length + 1 ? section.slice(spec.prefix.length + 1) : null;
}

/** Programs by name → the subprogram that a `exception_callback:` tag gives them. libbpf: bpf_prog_assign_exc_cb(). */
function exceptionCallbacks(btf: Btf | null, functions: FunctionTable): Map<string, ObjectFunction | BpfError> {
  const callbacks = new Map<string, ObjectFunction | BpfError>();
  if (btf === null) return callbacks;
  const prefix = "exception_callback:";
  let subprograms: Map<string, ObjectFunction> | null = null;
  const repeated = new Set<string>();
  for (const id of btf.idsOf("decl_tag")) {
    const tag = btf.typeById(id);
    if (tag.kind !== "decl_tag" || tag.component !== -1 || !tag.name.startsWith(prefix)) continue;
    const program = btf.typeById(tag.type);
    if (program.kind !== "func") continue;
    // Of several callbacks libbpf appends none and lets the verifier complain.
    if (callbacks.has(program.name)) repeated.add(program.name);
    subprograms ??= new Map(functions.all.filter((fn) => fn.isSubprogram).map((fn) => [fn.name, fn]));
    const name = tag.name.slice(prefix.length);
    const callback = subprograms.get(name);
    callbacks.set(
      program.name,
      callback?.isGlobal && !callback.isHidden
        ? callback
        : new ObjectError(
            "RELOCATION_UNRESOLVED",
            `exception callback ${name} of ${program.name} is no global function of .text`,
          ),
    );
  }
  for (const name of repeated) callbacks.delete(name);
  return callbacks;
}
