/**
 * ELF relocations of code → what each instruction refers to: a map, global data, a subprogram, an extern. Nothing is
 * patched here. Source: libbpf, bpf_program__record_reloc(), which decides by instruction and symbol.
 */
import { BpfError, ObjectError } from "../../base/index.ts";
import { CLASS, INSN_BYTES, JMP, PSEUDO_CALL } from "../../spec/isa.ts";
import { isWideImmediate } from "../asm/instruction.ts";
import {
  type ElfRelocation,
  type ElfSection,
  type ElfSymbol,
  readRelocations,
  SECTION_FLAG,
  SECTION_RESERVED,
  SYMBOL_BIND,
  SYMBOL_TYPE,
} from "./elf.ts";
import type { FunctionTable, ObjectFunction, Relocation } from "./functions.ts";
import type { Layout } from "./layout.ts";

/** Where symbols lead to, apart from code. */
export interface RelocationTargets {
  /** map defined at that offset of .maps, null where none is */
  mapAt(offsetBytes: number): number | null;
  /** map that holds that data section */
  dataMapOf(section: ElfSection): number | null;
  /** extern of that symbol */
  externOf(symbol: ElfSymbol): number | null;
}

export const CALL_OPCODE = CLASS.JMP | JMP.CALL;

const R_BPF_64_64 = 1;
const R_BPF_64_32 = 10;

/** Symbols that other objects or the kernel define. */
export const isExtern = (symbol: ElfSymbol): boolean =>
  symbol.section === 0 && symbol.bind !== SYMBOL_BIND.LOCAL && symbol.type === SYMBOL_TYPE.NOTYPE;

/** Records every relocation at the function it is in; a bad one is the failure of that function alone. */
export function recordRelocations(layout: Layout, functions: FunctionTable, targets: RelocationTargets): void {
  for (const table of layout.relocations) {
    const section = layout.elf.sections[table.info]!;
    if ((section.flags & SECTION_FLAG.EXECINSTR) === 0) continue;
    for (const relocation of readRelocations(table)) {
      if (relocation.offset >= section.size)
        throw malformed(`at ${relocation.offset} of ${section.size} bytes`, section, relocation);
      const fn = functions.find(section, Math.floor(relocation.offset / INSN_BYTES));
      // What is left of an overridden weak function belongs to nobody.
      if (fn === null || fn.failure !== null) continue;
      try {
        record(layout, fn, relocation, targets);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
        fn.failure = error;
      }
    }
  }
}

function record(layout: Layout, fn: ObjectFunction, relocation: ElfRelocation, targets: RelocationTargets): void {
  if (relocation.offset % INSN_BYTES !== 0) throw malformed("is not at the start of an instruction", fn, relocation);
  const slot = relocation.offset / INSN_BYTES - fn.start;
  const symbol = layout.elf.symbols[relocation.symbol];
  if (symbol === undefined)
    throw malformed(`refers to symbol ${relocation.symbol}, which does not exist`, fn, relocation);
  if (fn.relocations.has(slot)) throw malformed("is the second of its instruction", fn, relocation);
  fn.relocations.set(slot, relocationOf(layout, fn, slot, relocation, symbol, targets));
}

function relocationOf(
  layout: Layout,
  fn: ObjectFunction,
  slot: number,
  relocation: ElfRelocation,
  symbol: ElfSymbol,
  targets: RelocationTargets,
): Relocation {
  const insn = fn.code[fn.start + slot]!;
  const isCall = insn.opcode === CALL_OPCODE;
  const isLoad = isWideImmediate(insn) && slot + 1 < fn.count;
  if (!isCall && !isLoad)
    throw malformed(`is for opcode 0x${insn.opcode.toString(16)}, neither call nor 64-bit load`, fn, relocation);
  if (relocation.type !== (isCall ? R_BPF_64_32 : R_BPF_64_64))
    throw malformed(`is of type ${relocation.type}, which does not fit its instruction`, fn, relocation);
  const name = nameOf(layout, symbol);
  if (isExtern(symbol)) {
    const extern = targets.externOf(symbol);
    if (extern === null) throw unresolved(`extern ${name} has no name`, fn, relocation);
    return { kind: "extern", extern };
  }
  const section = symbol.section < SECTION_RESERVED ? layout.elf.sections[symbol.section] : undefined;
  if (section === undefined || section.index === 0)
    throw unresolved(`${name} is in special section ${symbol.section}; is a variable not initialized?`, fn, relocation);
  if (isCall) {
    if (insn.src !== PSEUDO_CALL.SUBPROG) throw malformed("is for a call of a helper", fn, relocation);
    if (section !== layout.text)
      throw unresolved(`${name} in section ${section.name} cannot be called: subprograms are in .text`, fn, relocation);
    if (symbol.value % INSN_BYTES !== 0) throw malformed(`calls into an instruction of ${name}`, fn, relocation);
    return { kind: "call", offsetBytes: symbol.value };
  }
  if (section === layout.text && isFunctionOrSection(symbol)) {
    if (symbol.value % INSN_BYTES !== 0 || insn.imm % INSN_BYTES !== 0)
      throw malformed(`points into an instruction of ${name}`, fn, relocation);
    return { kind: "subprogram", offsetBytes: symbol.value };
  }
  if (section === layout.maps) {
    const map = targets.mapAt(symbol.value);
    if (map === null) throw unresolved(`there is no map at ${symbol.value} of ${section.name}`, fn, relocation);
    return { kind: "map", map };
  }
  const map = targets.dataMapOf(section);
  if (map === null) throw unresolved(`${name} in section ${section.name} is no map and no data`, fn, relocation);
  if (symbol.value > 0x7fff_ffff) throw malformed(`points ${symbol.value} bytes into ${section.name}`, fn, relocation);
  return { kind: "data", map, offsetBytes: symbol.value };
}

/** Static functions are referred to by their section, global ones by name. */
const isFunctionOrSection = (symbol: ElfSymbol): boolean =>
  symbol.bind === SYMBOL_BIND.LOCAL ? symbol.type === SYMBOL_TYPE.SECTION : symbol.type === SYMBOL_TYPE.FUNC;

function nameOf(layout: Layout, symbol: ElfSymbol): string {
  const name = layout.elf.symbolName(symbol);
  return name !== "" ? name : (layout.elf.sections[symbol.section]?.name ?? `symbol ${symbol.index}`);
}

type Place = ObjectFunction | ElfSection;
const placeOf = (place: Place, relocation: ElfRelocation) => ({
  where:
    "section" in place
      ? { section: place.section.name, program: place.name, offsetBytes: relocation.offset }
      : { section: place.name, offsetBytes: relocation.offset },
});

const malformed = (message: string, place: Place, relocation: ElfRelocation): ObjectError =>
  new ObjectError("RELOCATION_MALFORMED", `relocation ${message}`, placeOf(place, relocation));
const unresolved = (message: string, place: Place, relocation: ElfRelocation): ObjectError =>
  new ObjectError("RELOCATION_UNRESOLVED", message, placeOf(place, relocation));
