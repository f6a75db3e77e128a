/** Values as one line of text, in the notation of C initialisers: `{ pid = 12, comm = "sh", kind = PROCESS_EXEC }`. */
import { toHex } from "../../base/index.ts";
import type { CType } from "../../spec/index.ts";
import { readMember, readValue } from "./read.ts";
import {
  type ArrayType,
  enumName,
  flatMembers,
  isBytes,
  isStruct,
  isText,
  requireRoom,
  type StructType,
  type Value,
} from "./type.ts";

/** Arrays of numbers longer than this end in `…` and their length. */
const ELEMENTS_MAX = 32;

/** One line. Throws MapError where the type does not fit the view. */
export function formatValue(type: CType, view: DataView, address: number): string {
  requireRoom(type, address, view.byteLength);
  return format(type, view, address);
}

function format(type: CType, view: DataView, address: number): string {
  if (isStruct(type)) return formatStruct(type, view, address);
  if (type.kind === "array" && !isText(type)) return formatArray(type, view, address);
  return formatScalar(type, readValue(type, view, address, { enums: "number" }));
}

function formatStruct(type: StructType, view: DataView, address: number): string {
  const parts = flatMembers(type).map((member) => {
    const text =
      member.bitfieldBits === 0
        ? format(member.type, view, address + member.offsetBits / 8)
        : formatScalar(member.type, readMember(member, view, address, { enums: "number" }));
    return `${member.name} = ${text}`;
  });
  return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
}

function formatArray(type: ArrayType, view: DataView, address: number): string {
  const { element, length } = type;
  if (isBytes(type)) return toHex(new Uint8Array(view.buffer, view.byteOffset + address, length).slice());
  const shown = Math.min(length, ELEMENTS_MAX);
  const items = Array.from({ length: shown }, (_, index) => format(element, view, address + index * element.size));
  if (length > shown) items.push(`… ${length} in all`);
  return `[${items.join(", ")}]`;
}

/** A value that is neither struct nor array, as readValue() gives it with enums as numbers. */
export function formatScalar(type: CType, value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return toHex(value);
  if (type.kind === "pointer") return `0x${value!.toString(16)}`;
  if (type.kind === "enum") return enumName(type, value as number | bigint) ?? String(value);
  return String(value);
}
