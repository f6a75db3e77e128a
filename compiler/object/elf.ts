/**
 * ELF64 little-endian: header, sections, symbols, relocations. Every offset is checked against the file before it is used.
 * What the sections mean to BPF is not asked here. Source: System V ABI, chapters 4 and 5.
 */
import { ByteReader, ObjectError } from "../../base/index.ts";
import { StringTable } from "./strings.ts";

export const SECTION_TYPE = { PROGBITS: 1, SYMTAB: 2, STRTAB: 3, RELA: 4, NOBITS: 8, REL: 9 } as const;
export const SECTION_FLAG = { EXECINSTR: 4 } as const;
/** Section indices from here on are no sections. */
export const SECTION_RESERVED = 0xff00;
export const SYMBOL_BIND = { LOCAL: 0, GLOBAL: 1, WEAK: 2 } as const;
export const SYMBOL_TYPE = { NOTYPE: 0, OBJECT: 1, FUNC: 2, SECTION: 3 } as const;
export const SYMBOL_VISIBILITY = { INTERNAL: 1, HIDDEN: 2 } as const;

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** in the file */
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly entrySize: number;
  /** empty for SHT_NOBITS */
  readonly data: Uint8Array;
}

export interface ElfSymbol {
  readonly index: number;
  readonly nameOffset: number;
  readonly bind: number;
  readonly type: number;
  readonly visibility: number;
  /** index of its section, 0 undefined, from SECTION_RESERVED on special */
  readonly section: number;
  readonly value: number;
  readonly size: number;
}

export interface ElfRelocation {
  /** in the section it changes */
  readonly offset: number;
  readonly symbol: number;
  readonly type: number;
}

export interface Elf {
  readonly type: number;
  readonly machine: number;
  readonly sections: readonly ElfSection[];
  /** null where the file has no symbol table */
  readonly symbolTable: ElfSection | null;
  readonly symbols: readonly ElfSymbol[];
  symbolName(symbol: ElfSymbol): string;
}

const HEADER_BYTES = 64;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 16;
const ELF_MAGIC = 0x464c457f;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
/** e_shstrndx is in section 0 instead */
const EXTENDED_INDEX = 0xffff;

export const isElf = (bytes: Uint8Array): boolean =>
  bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;

export function parseElf(bytes: Uint8Array): Elf {
  const reader = new ByteReader(
    bytes,
    (offsetBytes, length) =>
      new ObjectError(
        "ELF_TRUNCATED",
        `${length} bytes at ${offsetBytes} lie outside the file of ${bytes.length} bytes`,
        {
          where: { offsetBytes },
        },
      ),
  );
  if (bytes.length < 4 || reader.u32(0) !== ELF_MAGIC) throw malformed("the file is not ELF", 0);
  reader.require(0, HEADER_BYTES);
  if (reader.u8(4) !== CLASS_64) throw malformed("the file is not 64-bit ELF", 4);
  if (reader.u8(5) !== LITTLE_ENDIAN) throw malformed("the file is not little-endian", 5);
  const sections = readSections(reader);
  const symbolTable = findSymbolTable(sections);
  const symbols = symbolTable === null ? [] : readSymbols(symbolTable);
  const names = symbolTable === null ? null : symbolNames(sections, symbolTable);
  return {
    type: reader.u16(16),
    machine: reader.u16(18),
    sections,
    symbolTable,
    symbols,
    symbolName: (symbol) => names?.at(symbol.nameOffset) ?? "",
  };
}

function readSections(reader: ByteReader): ElfSection[] {
  const tableOffset = reader.u64Number(40);
  if (tableOffset === 0) throw malformed("the file has no section headers", 40);
  const headerBytes = reader.u16(58);
  if (headerBytes !== SECTION_HEADER_BYTES) throw malformed(`section headers of ${headerBytes} bytes`, 58);
  reader.require(tableOffset, SECTION_HEADER_BYTES);
  // Above 0xff00 sections, count and index of the names are in section 0.
  const count = reader.u16(60) || reader.u64Number(tableOffset + 32);
  const namesIndex = reader.u16(62) === EXTENDED_INDEX ? reader.u32(tableOffset + 40) : reader.u16(62);
  reader.require(tableOffset, count * SECTION_HEADER_BYTES);
  if (namesIndex >= count) throw malformed(`section ${namesIndex} with the names does not exist`, 62);
  const headerAt = (index: number) => tableOffset + index * SECTION_HEADER_BYTES;
  const names = new StringTable(
    reader.slice(reader.u64Number(headerAt(namesIndex) + 24), reader.u64Number(headerAt(namesIndex) + 32)),
    (message, offsetBytes) => new ObjectError("ELF_MALFORMED", `section name: ${message}`, { where: { offsetBytes } }),
  );
  const sections: ElfSection[] = [];
  for (let index = 0; index < count; index++) {
    const at = headerAt(index);
    const type = reader.u32(at + 4);
    const offset = reader.u64Number(at + 24);
    const size = reader.u64Number(at + 32);
    const hasBytes = index > 0 && type !== SECTION_TYPE.NOBITS;
    sections.push({
      index,
      name: index === 0 ? "" : names.at(reader.u32(at)),
      type,
      flags: reader.u32(at + 8),
      offset,
      size: index === 0 ? 0 : size,
      link: reader.u32(at + 40),
      info: reader.u32(at + 44),
      entrySize: reader.u64Number(at + 56),
      data: hasBytes && size > 0 ? reader.slice(offset, size) : EMPTY,
    });
  }
  return sections;
}
const EMPTY = new Uint8Array(0);

function findSymbolTable(sections: readonly ElfSection[]): ElfSection | null {
  const tables = sections.filter((section) => section.type === SECTION_TYPE.SYMTAB);
  if (tables.length > 1) throw malformed("the file has several symbol tables", tables[1]!.offset, tables[1]!.name);
  return tables[0] ?? null;
}

function readSymbols(table: ElfSection): ElfSymbol[] {
  if (table.entrySize !== SYMBOL_BYTES || table.size % SYMBOL_BYTES !== 0)
    throw malformed(`symbols of ${table.entrySize} bytes in ${table.size}`, table.offset, table.name);
  const reader = sectionReader(table);
  const symbols: ElfSymbol[] = [];
  for (let at = 0; at < table.size; at += SYMBOL_BYTES) {
    const info = reader.u8(at + 4);
    symbols.push({
      index: symbols.length,
      nameOffset: reader.u32(at),
      bind: info >> 4,
      type: info & 15,
      visibility: reader.u8(at + 5) & 3,
      section: reader.u16(at + 6),
      value: reader.u64Number(at + 8),
      size: reader.u64Number(at + 16),
    });
  }
  return symbols;
}

function symbolNames(sections: readonly ElfSection[], table: ElfSection): StringTable {
  const section = sections[table.link];
  if (section === undefined || section.type !== SECTION_TYPE.STRTAB)
    throw malformed(`section ${table.link} with the symbols' names does not exist`, table.offset, table.name);
  return new StringTable(
    section.data,
    (message, offsetBytes) =>
      new ObjectError("SYMBOL_MALFORMED", `symbol name: ${message}`, { where: { section: section.name, offsetBytes } }),
  );
}

/** The entries of a SHT_REL section. */
export function readRelocations(section: ElfSection): ElfRelocation[] {
  if (section.entrySize !== RELOCATION_BYTES || section.size % RELOCATION_BYTES !== 0)
    throw malformed(`relocations of ${section.entrySize} bytes in ${section.size}`, section.offset, section.name);
  const reader = sectionReader(section);
  const relocations: ElfRelocation[] = [];
  for (let at = 0; at < section.size; at += RELOCATION_BYTES) {
    relocations.push({ offset: reader.u64Number(at), type: reader.u32(at + 8), symbol: reader.u32(at + 12) });
  }
  return relocations;
}

function sectionReader(section: ElfSection): ByteReader {
  return new ByteReader(
    section.data,
    (offsetBytes) =>
      new ObjectError("ELF_TRUNCATED", `read at ${offsetBytes} outside the section`, {
        where: { section: section.name, offsetBytes },
      }),
  );
}

function malformed(message: string, offsetBytes: number, section?: string): ObjectError {
  return new ObjectError("ELF_MALFORMED", message, { where: { offsetBytes, section } });
}
