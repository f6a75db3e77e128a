/**
 * Symbols of an ELF file: the functions that its tables name, with their versions, and where data lies.
 * Source: System V ABI, chapter 4; the Linux Standard Base's chapter on symbol versions.
 */
import type { ByteReader } from "../../../../base/index.ts";
import { broken, type ElfImage, type ElfSection, nameAt, SECTION, sectionBytes } from "./elf.ts";

/** A function that the file defines. */
export interface ElfFunction {
  /** without its version */
  readonly name: string;
  /** `GLIBC_2.2.5`; null: none */
  readonly version: string | null;
  /** it is the one that is meant where no version is said */
  readonly isDefault: boolean;
  readonly address: number;
  readonly weak: boolean;
  /** what lies there is asked at run time which function it is */
  readonly isResolver: boolean;
}

const SYMBOL_BYTES = 24;
const KIND = { FUNC: 2, IFUNC: 10 } as const;
const BIND_WEAK = 2;
/** Of an entry of .gnu.version: the symbol is found by its version only. */
const VERSION_HIDDEN = 0x8000;
const VERSION_NAME_BYTES = 20;

type FunctionTable = "dynamic" | "static";

/** Reading a table takes 10 ms for a C library, 100 ms for a large program, and a file is asked for many functions. */
const READ = new WeakMap<ElfImage, Map<FunctionTable, readonly ElfFunction[]>>();

/** The functions of a symbol table, in its order; none where the file has no such table. */
export function functionsOf(image: ElfImage, table: FunctionTable): readonly ElfFunction[] {
  const tables = READ.get(image) ?? new Map<FunctionTable, readonly ElfFunction[]>();
  READ.set(image, tables);
  const known = tables.get(table);
  if (known !== undefined) return known;
  const type = table === "dynamic" ? SECTION.DYNSYM : SECTION.SYMTAB;
  const functions = image.sections.flatMap((section, index) =>
    section.type === type ? readFunctions(image, section, versionsOf(image, index)) : [],
  );
  tables.set(table, functions);
  return functions;
}

/** Address of what the file defines under that name, data or code; null: nothing, or several things. */
export function symbolAddress(image: ElfImage, wanted: string): number | null {
  const addresses = new Set<number>();
  for (const section of image.sections) {
    if (section.type !== SECTION.DYNSYM && section.type !== SECTION.SYMTAB) continue;
    const { names, symbols } = symbolTable(image, section);
    for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
      const kind = symbols.u8(at + 4) & 15;
      if (kind > KIND.FUNC || symbols.u16(at + 6) === 0) continue;
      if (nameAt(names, symbols.u32(at)) === wanted) addresses.add(symbols.u64Number(at + 8));
    }
  }
  const [address = null] = addresses;
  return addresses.size === 1 ? address : null;
}

function readFunctions(image: ElfImage, section: ElfSection, versions: Versions | null): ElfFunction[] {
  const { names, symbols } = symbolTable(image, section);
  const functions: ElfFunction[] = [];
  for (let at = 0; at + SYMBOL_BYTES <= symbols.length; at += SYMBOL_BYTES) {
    const info = symbols.u8(at + 4);
    const kind = info & 15;
    const address = symbols.u64Number(at + 8);
    if ((kind !== KIND.FUNC && kind !== KIND.IFUNC) || symbols.u16(at + 6) === 0 || address === 0) continue;
    const text = nameAt(names, symbols.u32(at));
    // a static table has the version in the name
    const [name = "", separator, written = null] = text.split(/(@@?)/);
    functions.push({
      name,
      address,
      weak: info >> 4 === BIND_WEAK,
      isResolver: kind === KIND.IFUNC,
      ...(versions?.(at / SYMBOL_BYTES) ?? { version: written, isDefault: separator !== "@" }),
    });
  }
  return functions;
}

function symbolTable(
  image: ElfImage,
  section: ElfSection,
): { readonly names: ByteReader; readonly symbols: ByteReader } {
  const strings = image.sections[section.link];
  if (section.entryBytes !== SYMBOL_BYTES || strings?.type !== SECTION.STRTAB) {
    throw broken(image.bytes.name, `its symbol table ${section.name} cannot be read`);
  }
  return { names: sectionBytes(image, strings), symbols: sectionBytes(image, section) };
}

/** By a symbol's index; null: it has no version. */
type Versions = (symbol: number) => Pick<ElfFunction, "version" | "isDefault"> | null;

/** Null where the table at that index of the sections has none. */
function versionsOf(image: ElfImage, table: number): Versions | null {
  const numbers = image.sections.find(({ type, link }) => type === SECTION.VERSIONS && link === table);
  if (numbers === undefined) return null;
  const entries = sectionBytes(image, numbers);
  const names = versionNames(image);
  return (symbol) => {
    if (symbol * 2 + 2 > entries.length) return null;
    const entry = entries.u16(symbol * 2);
    const version = names.get(entry & ~VERSION_HIDDEN) ?? null;
    return { version, isDefault: (entry & VERSION_HIDDEN) === 0 };
  };
}

/** The versions that the file defines, by their numbers. */
function versionNames(image: ElfImage): Map<number, string> {
  const known = new Map<number, string>();
  const section = image.sections.find(({ type }) => type === SECTION.VERSION_NAMES);
  const strings = image.sections[section?.link ?? -1];
  if (section === undefined || strings?.type !== SECTION.STRTAB) return known;
  const texts = sectionBytes(image, strings);
  const entries = sectionBytes(image, section);
  for (let at = 0; at + VERSION_NAME_BYTES <= entries.length; ) {
    const number = entries.u16(at + 4);
    const name = at + entries.u32(at + 12);
    if (name + 4 <= entries.length) known.set(number, nameAt(texts, entries.u32(name)));
    const next = entries.u32(at + 16);
    if (next === 0) break;
    at += next;
  }
  return known;
}
