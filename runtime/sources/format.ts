/**
 * The text that describes a tracepoint's record (`events/SYSTEM/NAME/format` of tracefs, and a recording's copy of it):
 * name, id and fields in, the record's layout out. The print format is not read: what a record means is for programs.
 */
import { CaptureError } from "../../base/index.ts";
import type { CType } from "../../spec/index.ts";

export interface FormatField {
  readonly name: string;
  /** as the kernel writes it, without the name: `char[16]`, `__data_loc char[]`, `const char *` */
  readonly type: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly signed: boolean;
  /** elements of a fixed array, null where it is none */
  readonly length: number | null;
  /**
   * The field is a u32 that says where variable data lies: its offset in the low half (from the record's start, or
   * `relative`: from the end of this field), its length in the high half.
   */
  readonly location: "absolute" | "relative" | null;
  /** one of the common_* fields that head every record */
  readonly common: boolean;
}

export interface TracepointFormat {
  readonly system: string;
  readonly name: string;
  /** what perf_event_attr.config and common_type hold */
  readonly id: number;
  readonly fields: readonly FormatField[];
  /** end of the last field: bytes of the fixed part */
  readonly sizeBytes: number;
  /** the record as a struct, common_* fields included */
  readonly type: CType;
}

/** Largest record that perf accepts (PERF_MAX_TRACE_SIZE), so no field lies beyond it. */
const RECORD_BYTES_MAX = 8192;

/** Throws CaptureError CAPTURE_MALFORMED where the text is not a format. */
export function parseFormat(text: string, system: string): TracepointFormat {
  const lines = text.split("\n");
  const name = headValue(lines, "name");
  const idText = headValue(lines, "ID");
  if (name === null || idText === null || !/^\d{1,9}$/.test(idText)) {
    throw new CaptureError("CAPTURE_MALFORMED", `the format of an event of ${system} has no name or no numeric ID`);
  }
  const fields = lines.flatMap((line) => parseField(line, `${system}/${name}`));
  const sizeBytes = fields.reduce((end, field) => Math.max(end, field.offsetBytes + field.sizeBytes), 0);
  const type: CType = {
    kind: "struct",
    name,
    size: sizeBytes,
    members: fields.map((field) => ({
      name: field.name,
      offsetBits: field.offsetBytes * 8,
      bitfieldBits: 0,
      type: fieldType(field),
    })),
  };
  return { system, name, id: Number(idText), fields, sizeBytes, type };
}

function headValue(lines: readonly string[], key: string): string | null {
  const line = lines.find((candidate) => candidate.startsWith(`${key}:`));
  return line === undefined ? null : line.slice(key.length + 1).trim();
}

const FIELD = /^\s+(field|field special):(.*?);\s*offset:(\d+);\s*size:(\d+);(?:\s*signed:(\d+);)?\s*$/;
const DECLARATION = /^(.*?)([A-Za-z_]\w*)\s*((?:\[[^\]]*\])*)$/;

function parseField(line: string, event: string): FormatField[] {
  if (!/^\s+field/.test(line)) return [];
  const parts = FIELD.exec(line);
  const declaration = parts === null ? null : DECLARATION.exec(parts[2]!.trim());
  if (parts === null || declaration === null) {
    throw new CaptureError(
      "CAPTURE_MALFORMED",
      `the format of ${event} has a field that cannot be read: ${line.trim()}`,
    );
  }
  const [, before, name, dimensions] = declaration as unknown as [string, string, string, string];
  const offsetBytes = Number(parts[3]);
  const sizeBytes = Number(parts[4]);
  if (offsetBytes + sizeBytes > RECORD_BYTES_MAX) {
    throw new CaptureError("CAPTURE_MALFORMED", `field ${name} of ${event} lies beyond the largest record`);
  }
  const base = before.trim();
  const fixed = /^\[(\d+)\]/.exec(dimensions);
  return [
    {
      name,
      type: `${base}${dimensions}`,
      offsetBytes,
      sizeBytes,
      signed: parts[5] === "1",
      length: fixed === null || Number(fixed[1]) === 0 ? null : Number(fixed[1]),
      location: base.startsWith("__data_loc") ? "absolute" : base.startsWith("__rel_loc") ? "relative" : null,
      common: name.startsWith("common_"),
    },
  ];
}

/** What a field is as a C type; what cannot be told (a struct by value, an odd size) is opaque bytes. */
function fieldType(field: FormatField): CType {
  const { sizeBytes: size, length, type } = field;
  if (field.location !== null) return { kind: "int", name: type, size, signed: false, encoding: "int" };
  const base = type.replace(/\[.*$/, "").trim();
  if (length !== null && size % length === 0) {
    return { kind: "array", size, length, element: scalarType(base, size / length, field.signed) };
  }
  return scalarType(base, size, field.signed);
}

function scalarType(name: string, size: number, signed: boolean): CType {
  if (name.includes("*") && size === 8) return { kind: "pointer", name, size, target: name.replace(/\s*\*$/, "") };
  if (size !== 1 && size !== 2 && size !== 4 && size !== 8) return { kind: "opaque", name, size };
  const bare = name.replace(/\b(const|volatile|unsigned|signed)\b/g, "").trim();
  const encoding = size !== 1 ? "int" : bare === "char" ? "char" : bare === "bool" || bare === "_Bool" ? "bool" : "int";
  return { kind: "int", name, size, signed, encoding };
}
