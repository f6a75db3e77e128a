/** Writes small ELF objects for BPF, right or wrong as a test wants them. */

export interface SectionPlan {
  readonly name: string;
  readonly type?: number;
  readonly flags?: number;
  readonly bytes?: Uint8Array;
  /** said in the header instead of the bytes' length */
  readonly size?: number;
  /** said in the header instead of where the bytes are */
  readonly offset?: number;
  readonly link?: number;
  readonly info?: number;
  readonly entrySize?: number;
}

export interface SymbolPlan {
  readonly name: string;
  /** bind << 4 | type */
  readonly info: number;
  readonly section: number;
  readonly value: number;
  readonly size: number;
}

export interface RelocationPlan {
  readonly offset: number;
  readonly type: number;
  readonly symbol: number;
}

export const GLOBAL_FUNC = 0x12;
export const LOCAL_SECTION = 0x03;
export const GLOBAL_OBJECT = 0x11;
export const GLOBAL_NONE = 0x10;
export const EXEC = 6;
const PROGBITS = 1;

/** Sections get numbers from 1 in order; .symtab, .strtab and .shstrtab follow them. Symbols get numbers from 1. */
export function writeElf(sections: readonly SectionPlan[], symbols: readonly SymbolPlan[]): Uint8Array {
  const names = new Strings();
  const symbolNames = new Strings();
  const symbolBytes = new Uint8Array(24 * (symbols.length + 1));
  const symbolView = new DataView(symbolBytes.buffer);
  symbols.forEach((symbol, index) => {
    const at = 24 * (index + 1);
    symbolView.setUint32(at, symbolNames.add(symbol.name), true);
    symbolView.setUint8(at + 4, symbol.info);
    symbolView.setUint16(at + 6, symbol.section, true);
    symbolView.setBigUint64(at + 8, BigInt(symbol.value), true);
    symbolView.setBigUint64(at + 16, BigInt(symbol.size), true);
  });
  const count = sections.length + 4;
  const all: SectionPlan[] = [
    { name: "", type: 0 },
    ...sections,
    { name: ".symtab", type: 2, bytes: symbolBytes, link: sections.length + 2, entrySize: 24 },
    { name: ".strtab", type: 3, bytes: symbolNames.bytes() },
  ];
  for (const { name } of all) names.add(name);
  names.add(".shstrtab");
  all.push({ name: ".shstrtab", type: 3, bytes: names.bytes() });
  const size = all.reduce((sum, { bytes }) => sum + aligned(bytes?.length ?? 0), 64) + 64 * count;
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 1, true);
  view.setUint16(18, 247, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(40, BigInt(size - 64 * count), true);
  view.setUint16(52, 64, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, count, true);
  view.setUint16(62, count - 1, true);
  let offset = 64;
  all.forEach((section, index) => {
    const at = size - 64 * count + 64 * index;
    const length = section.bytes?.length ?? 0;
    view.setUint32(at, names.add(section.name), true);
    view.setUint32(at + 4, section.type ?? PROGBITS, true);
    view.setBigUint64(at + 8, BigInt(section.flags ?? 0), true);
    view.setBigUint64(at + 24, BigInt(section.offset ?? offset), true);
    view.setBigUint64(at + 32, BigInt(section.size ?? length), true);
    view.setUint32(at + 40, section.link ?? 0, true);
    view.setUint32(at + 44, section.info ?? 0, true);
    view.setBigUint64(at + 56, BigInt(section.entrySize ?? 0), true);
    if (section.bytes !== undefined) file.set(section.bytes, offset);
    offset += aligned(length);
  });
  return file;
}

export function writeRelocations(relocations: readonly RelocationPlan[]): Uint8Array {
  const bytes = new Uint8Array(16 * relocations.length);
  const view = new DataView(bytes.buffer);
  relocations.forEach(({ offset, type, symbol }, index) => {
    view.setBigUint64(16 * index, BigInt(offset), true);
    view.setUint32(16 * index + 8, type, true);
    view.setUint32(16 * index + 12, symbol, true);
  });
  return bytes;
}

/** The section that relocates section `target`. */
export const relocationSection = (
  name: string,
  target: number,
  relocations: readonly RelocationPlan[],
): SectionPlan => ({
  name: `.rel${name}`,
  type: 9,
  info: target,
  entrySize: 16,
  bytes: writeRelocations(relocations),
});

/** Slots as [opcode, registers, offset, immediate]. */
export function writeInsns(insns: readonly (readonly [number, number, number, number])[]): Uint8Array {
  const bytes = new Uint8Array(8 * insns.length);
  const view = new DataView(bytes.buffer);
  insns.forEach(([opcode, registers, off, imm], index) => {
    view.setUint8(8 * index, opcode);
    view.setUint8(8 * index + 1, registers);
    view.setInt16(8 * index + 2, off, true);
    view.setInt32(8 * index + 4, imm, true);
  });
  return bytes;
}

const aligned = (length: number): number => Math.ceil(length / 8) * 8;

class Strings {
  readonly #bytes: number[] = [0];
  readonly #known = new Map<string, number>([["", 0]]);

  add(text: string): number {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const offset = this.#bytes.length;
    for (const byte of new TextEncoder().encode(text)) this.#bytes.push(byte);
    this.#bytes.push(0);
    this.#known.set(text, offset);
    return offset;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}
