/**
 * An ELF file of x86-64 as whoever probes it needs it: segments, sections, and where in the file an address lies.
 * Files may be large, so only what is asked for is read; everything is checked against the file's size, and what breaks the
 * format is an AttachError TRACED_FILE. Source: System V ABI, chapters 4 and 5.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { AttachError, ByteReader } from "../../../../base/index.ts";

/** Where an ELF file's bytes come from. */
export interface ElfBytes {
  readonly name: string;
  readonly size: number;
  /** `[offset, offset + bytes)` lies inside. */
  read(offset: number, bytes: number): Uint8Array;
}

/** A PT_LOAD segment. */
export interface ElfSegment {
  readonly offset: number;
  readonly address: number;
  readonly fileBytes: number;
  readonly executable: boolean;
}

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
  readonly link: number;
  readonly entryBytes: number;
}

export interface ElfImage {
  readonly bytes: ElfBytes;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
}

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const SECTION_BYTES = 64;
const MACHINE_X86_64 = 62;
const TYPE = { EXEC: 2, DYN: 3 } as const;
const SEGMENT_LOAD = 1;
const SEGMENT_EXECUTABLE = 1;
export const SECTION = {
  SYMTAB: 2,
  STRTAB: 3,
  NOTE: 7,
  NOBITS: 8,
  DYNSYM: 11,
  VERSION_NAMES: 0x6fff_fffd,
  VERSIONS: 0x6fff_ffff,
} as const;
const EXTENDED_INDEX = 0xffff;
/** Longer names are cut: a table whose names run into each other would otherwise be read over and over. */
const NAME_BYTES_MAX = 1024;
/** What a section may hold at most to be read into memory. */
const SECTION_BYTES_MAX = 1 << 30;

export function memoryElf(bytes: Uint8Array, name: string): ElfBytes {
  return { name, size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/** Files that are asked more than once: each is opened and read when it is first asked for, and open until all are closed. */
export class ElfFiles {
  readonly #images = new Map<string, ElfImage>();
  readonly #descriptors: number[] = [];

  /** Throws AttachError: ATTACH_TARGET where it cannot be read. */
  image(path: string): ElfImage {
    const known = this.#images.get(path);
    if (known !== undefined) return known;
    const fd = openFile(path);
    this.#descriptors.push(fd);
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw broken(path, "it is no regular file");
    const image = readElf({
      name: path,
      size: stat.size,
      read: (offset, bytes) => readAt(fd, path, offset, bytes),
    });
    this.#images.set(path, image);
    return image;
  }

  close(): void {
    for (const fd of this.#descriptors.splice(0)) closeSync(fd);
    this.#images.clear();
  }
}

/** Opens the file for as long as `use` takes. Throws AttachError: ATTACH_TARGET where it cannot be read. */
export function withElfFile<Result>(path: string, use: (image: ElfImage) => Result): Result {
  const files = new ElfFiles();
  try {
    return use(files.image(path));
  } finally {
    files.close();
  }
}

function openFile(path: string): number {
  try {
    // a pipe would wait for a writer
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new AttachError("ATTACH_TARGET", `cannot read ${path}: ${code}`, { cause });
  }
}

function readAt(fd: number, path: string, offset: number, bytes: number): Uint8Array {
  const buffer = new Uint8Array(bytes);
  for (let done = 0; done < bytes; ) {
    const read = readSync(fd, buffer, done, bytes - done, offset + done);
    if (read === 0) throw broken(path, "it became shorter while it was read");
    done += read;
  }
  return buffer;
}

export function readElf(bytes: ElfBytes): ElfImage {
  const header = part(bytes, 0, HEADER_BYTES);
  if (header.u32(0) !== 0x464c_457f) throw broken(bytes.name, "it is no ELF file");
  if (header.u8(4) !== 2 || header.u8(5) !== 1 || header.u16(18) !== MACHINE_X86_64) {
    throw broken(bytes.name, "it is not for x86-64");
  }
  const type = header.u16(16);
  if (type !== TYPE.EXEC && type !== TYPE.DYN) throw broken(bytes.name, "it is neither a program nor a library");
  return { bytes, segments: readSegments(bytes, header), sections: readSections(bytes, header) };
}

function readSegments(bytes: ElfBytes, header: ByteReader): ElfSegment[] {
  const count = header.u16(56);
  if (count === 0) return [];
  if (header.u16(54) !== SEGMENT_BYTES) throw broken(bytes.name, "its program headers have an odd size");
  const table = part(bytes, header.u64Number(32), count * SEGMENT_BYTES);
  const segments: ElfSegment[] = [];
  for (let at = 0; at < table.length; at += SEGMENT_BYTES) {
    if (table.u32(at) !== SEGMENT_LOAD) continue;
    segments.push({
      executable: (table.u32(at + 4) & SEGMENT_EXECUTABLE) !== 0,
      offset: table.u64Number(at + 8),
      address: table.u64Number(at + 16),
      fileBytes: table.u64Number(at + 32),
    });
  }
  return segments;
}

function readSections(bytes: ElfBytes, header: ByteReader): ElfSection[] {
  const tableOffset = header.u64Number(40);
  if (tableOffset === 0) return [];
  if (header.u16(58) !== SECTION_BYTES) throw broken(bytes.name, "its section headers have an odd size");
  const first = part(bytes, tableOffset, SECTION_BYTES);
  // Above 0xff00 sections, count and index of the names are in section 0.
  const count = header.u16(60) || first.u64Number(32);
  const namesIndex = header.u16(62) === EXTENDED_INDEX ? first.u32(40) : header.u16(62);
  const table = part(bytes, tableOffset, count * SECTION_BYTES);
  if (namesIndex >= count) return [];
  const names = part(
    bytes,
    table.u64Number(namesIndex * SECTION_BYTES + 24),
    table.u64Number(namesIndex * SECTION_BYTES + 32),
  );
  const sections: ElfSection[] = [];
  for (let at = 0; at < table.length; at += SECTION_BYTES) {
    sections.push({
      name: nameAt(names, table.u32(at)),
      type: table.u32(at + 4),
      address: table.u64Number(at + 16),
      offset: table.u64Number(at + 24),
      size: table.u64Number(at + 32),
      link: table.u32(at + 40),
      entryBytes: table.u64Number(at + 56),
    });
  }
  return sections;
}

/** Section of notes by that name; null: none. */
export function noteSection(image: ElfImage, name: string): ByteReader | null {
  const section = image.sections.find((candidate) => candidate.name === name && candidate.type === SECTION.NOTE);
  return section === undefined ? null : sectionBytes(image, section);
}

/** Where in the file the byte at that address lies; null: nowhere. */
export function fileOffset({ segments }: ElfImage, address: number): number | null {
  const segment = segments.find((one) => address >= one.address && address < one.address + one.fileBytes);
  return segment === undefined ? null : address - segment.address + segment.offset;
}

export function sectionBytes({ bytes }: ElfImage, section: ElfSection): ByteReader {
  if (section.type === SECTION.NOBITS) return part(bytes, 0, 0);
  if (section.size > SECTION_BYTES_MAX) throw broken(bytes.name, `its section ${section.name} is too large`);
  return part(bytes, section.offset, section.size);
}

/** Text of a string table. */
export function nameAt(names: ByteReader, offset: number): string {
  if (offset >= names.length) return "";
  const bytes = names.bytes.subarray(offset, offset + NAME_BYTES_MAX);
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString("latin1");
}

/** A window of the file that must lie inside it. */
export function part(bytes: ElfBytes, offset: number, length: number): ByteReader {
  if (!(offset >= 0 && length >= 0 && offset + length <= bytes.size)) {
    throw broken(bytes.name, `${length} bytes at ${offset} lie outside its ${bytes.size} bytes`);
  }
  return new ByteReader(bytes.read(offset, length), (at) => broken(bytes.name, `it ends at ${offset + at}`));
}

export function broken(name: string, what: string): AttachError {
  return new AttachError("TRACED_FILE", `cannot probe ${name}: ${what}`);
}
