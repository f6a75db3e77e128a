/**
 * Which ELF section is what to BPF, by name, type and flags, as libbpf sorts them. Source: libbpf, bpf_object__elf_collect().
 */
import { cString, ObjectError } from "../../base/index.ts";
import { type Elf, type ElfSection, SECTION_FLAG, SECTION_TYPE } from "./elf.ts";

const ELF_RELOCATABLE = 1;
const MACHINE_BPF = 247;
/** what llvm wrote before BPF had a number */
const MACHINE_NONE = 0;
/** libbpf keeps 63 bytes and the zero */
const LICENSE_BYTES = 63;

export type DataKind = "data" | "rodata" | "bss";

export interface Layout {
  readonly elf: Elf;
  readonly license: string;
  /** of the `version` section, null where there is none */
  readonly kernelVersion: number | null;
  /** executable, with bytes, in file order */
  readonly code: readonly ElfSection[];
  /** the one that holds subprograms */
  readonly text: ElfSection | null;
  readonly maps: ElfSection | null;
  readonly data: readonly { readonly section: ElfSection; readonly kind: DataKind }[];
  readonly structOps: readonly ElfSection[];
  /** variables that live in the arena map */
  readonly arena: ElfSection | null;
  readonly btf: ElfSection | null;
  readonly btfExt: ElfSection | null;
  /** SHT_REL for code, .maps and struct_ops */
  readonly relocations: readonly ElfSection[];
}

/** Throws where the file is no BPF object, or has sections that libbpf refuses. */
export function layOut(elf: Elf): Layout {
  if (elf.type !== ELF_RELOCATABLE || (elf.machine !== MACHINE_BPF && elf.machine !== MACHINE_NONE))
    throw new ObjectError("ELF_MALFORMED", `not a BPF object: ELF type ${elf.type}, machine ${elf.machine}`, {
      where: { offsetBytes: 16 },
    });
  if (elf.symbolTable === null)
    throw new ObjectError("ELF_MALFORMED", "the object has no symbol table", { hint: "do not strip it with -s" });
  requireDisjoint(elf.sections);
  let license = "";
  let kernelVersion: number | null = null;
  let maps: ElfSection | null = null;
  let arena: ElfSection | null = null;
  let btf: ElfSection | null = null;
  let btfExt: ElfSection | null = null;
  let text: ElfSection | null = null;
  const code: ElfSection[] = [];
  const data: { section: ElfSection; kind: DataKind }[] = [];
  const structOps: ElfSection[] = [];
  const relocations: ElfSection[] = [];
  for (const section of elf.sections) {
    const { name, type } = section;
    if (section.index === 0 || type === SECTION_TYPE.STRTAB || type === SECTION_TYPE.SYMTAB || isDebug(name)) continue;
    if (name === "license") license = cString(section.data.subarray(0, LICENSE_BYTES));
    else if (name === "version") kernelVersion = readVersion(section);
    else if (name === "maps")
      throw new ObjectError("LEGACY_MAPS", 'the object defines maps in a legacy "maps" section', {
        where: { section: name },
      });
    else if (name === ".maps") maps = section;
    else if (name === ".BTF") btf = requireProgbits(section);
    else if (name === ".BTF.ext") btfExt = requireProgbits(section);
    else if (type === SECTION_TYPE.PROGBITS && section.size > 0) {
      if ((section.flags & SECTION_FLAG.EXECINSTR) !== 0) {
        code.push(section);
        if (name === ".text") text = section;
      } else if (isNamed(name, ".data")) data.push({ section, kind: "data" });
      else if (isNamed(name, ".rodata")) data.push({ section, kind: "rodata" });
      else if (STRUCT_OPS.has(name)) structOps.push(section);
      else if (name === ".addr_space.1") arena = section;
    } else if (type === SECTION_TYPE.NOBITS && isNamed(name, ".bss") && section.size > 0)
      data.push({ section, kind: "bss" });
    else if ((type === SECTION_TYPE.REL || type === SECTION_TYPE.RELA) && isRelocated(elf, section))
      relocations.push(section);
  }
  return { elf, license, kernelVersion, code, text, maps, data, structOps, arena, btf, btfExt, relocations };
}

const isDebug = (name: string): boolean => name.startsWith(".debug_") || name.startsWith(".rel.debug_");
const isNamed = (name: string, base: string): boolean => name === base || name.startsWith(`${base}.`);

const STRUCT_OPS: ReadonlySet<string> = new Set([
  ".struct_ops",
  ".struct_ops.link",
  "?.struct_ops",
  "?.struct_ops.link",
]);

/** Relocations of data and BTF are not applied: the kernel never sees those addresses. */
function isRelocated(elf: Elf, section: ElfSection): boolean {
  const target = elf.sections[section.info];
  if (target === undefined)
    throw new ObjectError("ELF_MALFORMED", `relocations for section ${section.info}, which does not exist`, {
      where: { section: section.name, offsetBytes: section.offset },
    });
  const applies =
    (target.flags & SECTION_FLAG.EXECINSTR) !== 0 || target.name === ".maps" || STRUCT_OPS.has(target.name);
  if (applies && section.type === SECTION_TYPE.RELA)
    throw new ObjectError("RELOCATION_MALFORMED", "relocations with addends are not what clang writes for BPF", {
      where: { section: section.name, offsetBytes: section.offset },
    });
  return applies;
}

function readVersion(section: ElfSection): number {
  if (section.data.length !== 4)
    throw new ObjectError("SECTION_MALFORMED", `a version of ${section.data.length} bytes`, {
      where: { section: section.name, offsetBytes: section.offset },
    });
  return new DataView(section.data.buffer, section.data.byteOffset, 4).getUint32(0, true);
}

function requireProgbits(section: ElfSection): ElfSection {
  if (section.type !== SECTION_TYPE.PROGBITS)
    throw new ObjectError("ELF_MALFORMED", `section ${section.name} is of type ${section.type}`, {
      where: { section: section.name, offsetBytes: section.offset },
    });
  return section;
}

/** Sections that share bytes would let a small file unfold into a large object. */
function requireDisjoint(sections: readonly ElfSection[]): void {
  const filled = sections.filter((section) => section.data.length > 0).sort((a, b) => a.offset - b.offset);
  for (let index = 1; index < filled.length; index++) {
    const before = filled[index - 1]!;
    const section = filled[index]!;
    if (before.offset + before.size > section.offset)
      throw new ObjectError("ELF_MALFORMED", `sections ${before.name} and ${section.name} overlap`, {
        where: { section: section.name, offsetBytes: section.offset },
      });
  }
}
