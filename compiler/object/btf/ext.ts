/**
 * .BTF.ext: per code section, which function begins where, which line each instruction comes from, and the CO-RE
 * relocations. Offsets stay in bytes of the section as clang wrote them. Source: Documentation/bpf/btf.rst, chapter 4.
 */
import { ByteReader, ObjectError } from "../../../base/index.ts";
import type { Btf } from "./btf.ts";
import { BTF_MAGIC } from "./btf.ts";

export interface FunctionInfo {
  readonly offsetBytes: number;
  /** id of a func */
  readonly type: number;
}

export interface LineInfo {
  readonly offsetBytes: number;
  readonly fileOffset: number;
  readonly textOffset: number;
  readonly line: number;
  readonly column: number;
}

export interface CoreRelocation {
  readonly offsetBytes: number;
  readonly type: number;
  /** what is accessed, `0:1:2` */
  readonly access: string;
  readonly kind: number;
}

/** Records by name of the code section. */
export interface BtfExt {
  readonly functions: ReadonlyMap<string, readonly FunctionInfo[]>;
  readonly lines: ReadonlyMap<string, readonly LineInfo[]>;
  readonly relocations: ReadonlyMap<string, readonly CoreRelocation[]>;
}

const HEADER_BYTES = 24;
/** … with CO-RE's part */
const LONG_HEADER_BYTES = 32;

export function readBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const reader = new ByteReader(bytes, (offsetBytes, length) =>
    malformed(`${length} bytes at ${offsetBytes} lie outside`, offsetBytes),
  );
  reader.require(0, HEADER_BYTES);
  if (reader.u16(0) !== BTF_MAGIC) throw malformed("the magic number is not that of BTF", 0);
  const headerBytes = reader.u32(4);
  if (headerBytes < HEADER_BYTES) throw malformed(`a header of ${headerBytes} bytes`, 4);
  const part = <T>(field: number, recordBytes: number, decode: (at: number) => T): Map<string, T[]> =>
    readPart(
      reader,
      headerBytes + reader.u32(field),
      reader.u32(field + 4),
      recordBytes,
      (offset) => btf.string(offset),
      decode,
    );
  return {
    functions: part(8, 8, (at) => ({ offsetBytes: reader.u32(at), type: reader.u32(at + 4) })),
    lines: part(16, 16, (at) => {
      const position = reader.u32(at + 12);
      return {
        offsetBytes: reader.u32(at),
        fileOffset: reader.u32(at + 4),
        textOffset: reader.u32(at + 8),
        line: position >>> 10,
        column: position & 0x3ff,
      };
    }),
    relocations:
      headerBytes < LONG_HEADER_BYTES
        ? new Map()
        : part(24, 16, (at) => ({
            offsetBytes: reader.u32(at),
            type: reader.u32(at + 4),
            access: btf.string(reader.u32(at + 8)),
            kind: reader.u32(at + 12),
          })),
  };
}

/**
 *     u32 record size
 *     for each section: u32 name, u32 count, count records
 */
function readPart<T>(
  reader: ByteReader,
  start: number,
  lengthBytes: number,
  leastRecordBytes: number,
  name: (offset: number) => string,
  decode: (at: number) => T,
): Map<string, T[]> {
  const bySection = new Map<string, T[]>();
  if (lengthBytes === 0) return bySection;
  reader.require(start, lengthBytes);
  const end = start + lengthBytes;
  const recordBytes = reader.u32(start);
  if (recordBytes < leastRecordBytes || recordBytes % 4 !== 0)
    throw malformed(`records of ${recordBytes} bytes`, start);
  let at = start + 4;
  if (at >= end) throw malformed("no records", start);
  while (at < end) {
    if (at + 8 > end) throw malformed("a section's head is cut short", at);
    const section = name(reader.u32(at));
    const count = reader.u32(at + 4);
    at += 8;
    if (count === 0) throw malformed("a section without records", at);
    if (at + count * recordBytes > end) throw malformed(`${count} records do not fit`, at);
    const records: T[] = [];
    for (let index = 0; index < count; index++, at += recordBytes) records.push(decode(at));
    // libbpf takes the first of two sections of the same name.
    if (!bySection.has(section)) bySection.set(section, records);
  }
  return bySection;
}

function malformed(message: string, offsetBytes: number): ObjectError {
  return new ObjectError("BTF_MALFORMED", message, { where: { section: ".BTF.ext", offsetBytes } });
}
