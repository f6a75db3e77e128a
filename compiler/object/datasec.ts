/**
 * Data sections as BTF describes them, with what only the ELF file knows filled in: clang leaves a section's size and the
 * offsets of global variables as zero. Source: libbpf, btf_fixup_datasec().
 */
import { ObjectError } from "../../base/index.ts";
import type { Btf } from "./btf/btf.ts";
import type { BtfLinkage } from "./btf/types.ts";
import { type Elf, type ElfSymbol, SYMBOL_BIND, SYMBOL_TYPE, SYMBOL_VISIBILITY } from "./elf.ts";

export interface DataVariable {
  readonly name: string;
  /** id of the variable; null: one that the target provides */
  readonly id: number | null;
  /** id of the variable's type */
  readonly type: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** hidden ones count as static */
  readonly linkage: BtfLinkage;
}

export interface DataSection {
  readonly name: string;
  readonly size: number;
  /** ascending by offset */
  readonly variables: readonly DataVariable[];
}

/** What the target provides has its own layout (externs.ts). */
const EXTERN_SECTIONS: ReadonlySet<string> = new Set([".kconfig", ".ksyms"]);

/** All data sections but those of externs, by name. */
export function readDataSections(elf: Elf, btf: Btf): ReadonlyMap<string, DataSection> {
  const symbols = globalVariables(elf);
  const sizes = new Map<string, number>();
  for (const section of elf.sections) if (!sizes.has(section.name)) sizes.set(section.name, section.size);
  const sections = new Map<string, DataSection>();
  for (const id of btf.idsOf("datasec")) {
    const type = btf.typeById(id);
    if (type.kind !== "datasec" || EXTERN_SECTIONS.has(type.name) || sections.has(type.name)) continue;
    const isUnplaced = type.size === 0;
    const size = isUnplaced ? (sizes.get(type.name) ?? 0) : type.size;
    if (size === 0) throw malformed(`data section ${type.name} has no size`);
    const variables = type.variables.map((place) => {
      const variable = btf.typeById(place.type);
      if (variable.kind !== "var") throw malformed(`data section ${type.name} contains a ${variable.kind}`);
      const shared = { name: variable.name, id: place.type, type: variable.type, sizeBytes: place.sizeBytes };
      if (variable.linkage !== "global")
        return { ...shared, offsetBytes: place.offsetBytes, linkage: variable.linkage };
      const symbol = symbols.get(variable.name);
      if (symbol === undefined) throw malformed(`variable ${variable.name} of ${type.name} has no symbol`);
      const isHidden =
        symbol.visibility === SYMBOL_VISIBILITY.HIDDEN || symbol.visibility === SYMBOL_VISIBILITY.INTERNAL;
      return {
        ...shared,
        offsetBytes: isUnplaced ? symbol.value : place.offsetBytes,
        linkage: isHidden ? ("static" as const) : variable.linkage,
      };
    });
    variables.sort((a, b) => a.offsetBytes - b.offsetBytes);
    sections.set(type.name, { name: type.name, size, variables });
  }
  return sections;
}

/**
 * Whether each variable has room for its type, and begins behind the one before it. clang splits a static struct whose members
 * are used one by one, and calls each part what the whole was: the kernel refuses BTF like that. Kernel: btf_datasec_check_meta(),
 * btf_datasec_resolve().
 */
export function haveRoom(sections: ReadonlyMap<string, DataSection>, btf: Btf): boolean {
  for (const { size, variables } of sections.values()) {
    let end = 0;
    for (const { type, offsetBytes, sizeBytes } of variables) {
      if (offsetBytes < end || sizeBytes === 0) return false;
      if (sizeBytes < (btf.sizeOf(type) ?? 0)) return false;
      end = offsetBytes + sizeBytes;
      if (end > size) return false;
    }
  }
  return true;
}

function globalVariables(elf: Elf): ReadonlyMap<string, ElfSymbol> {
  const symbols = new Map<string, ElfSymbol>();
  for (const symbol of elf.symbols) {
    if (symbol.type !== SYMBOL_TYPE.OBJECT) continue;
    if (symbol.bind !== SYMBOL_BIND.GLOBAL && symbol.bind !== SYMBOL_BIND.WEAK) continue;
    const name = elf.symbolName(symbol);
    if (!symbols.has(name)) symbols.set(name, symbol);
  }
  return symbols;
}

const malformed = (message: string): ObjectError =>
  new ObjectError("BTF_MALFORMED", message, { where: { section: ".BTF" } });
