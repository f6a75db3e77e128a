/** Bytes of the arena (or of any record) → JavaScript values, by the C type they have. Everything is copied. */
import type { CType } from "../../spec/index.ts";
import { readBits } from "./bits.ts";
import { type ArrayType, enumName, type FlatMember, flatMembers, isText, requireRoom, type Value } from "./type.ts";

export interface ReadOptions {
  /** enumerators by name (where they have one) or as numbers; by name unless said otherwise */
  readonly enums?: "name" | "number";
}

/**
 * Integers up to 32 bits are numbers, wider ones and pointers bigint; arrays of char are strings up to their first zero;
 * members of anonymous structs and unions are their outer struct's. Throws MapError where the type does not fit the view.
 */
export function readValue(type: CType, view: DataView, address: number, options: ReadOptions = {}): Value {
  requireRoom(type, address, view.byteLength);
  return read(type, view, address, options);
}

function read(type: CType, view: DataView, address: number, options: ReadOptions): Value {
  switch (type.kind) {
    case "int":
      if (type.encoding === "bool") return view.getUint8(address) !== 0;
      return readInteger(view, address, type.size, type.signed) ?? copy(view, address, type.size);
    case "enum":
      return enumValue(type, readInteger(view, address, type.size, type.signed) ?? 0, options);
    case "pointer":
      return view.getBigUint64(address, true);
    case "float":
      if (type.size === 8) return view.getFloat64(address, true);
      return type.size === 4 ? view.getFloat32(address, true) : copy(view, address, type.size);
    case "array":
      return isText(type) ? readText(type, view, address) : readArray(type, view, address, options);
    case "struct":
    case "union":
      return Object.fromEntries(
        flatMembers(type).map((member) => [member.name, readMember(member, view, address, options)]),
      );
    default:
      return type.size === 0 ? null : copy(view, address, type.size);
  }
}

/** Null where the size is none that an integer has. A 128-bit one is a bigint. */
export function readInteger(view: DataView, address: number, size: number, signed: boolean): number | bigint | null {
  switch (size) {
    case 1:
      return signed ? view.getInt8(address) : view.getUint8(address);
    case 2:
      return signed ? view.getInt16(address, true) : view.getUint16(address, true);
    case 4:
      return signed ? view.getInt32(address, true) : view.getUint32(address, true);
    case 8:
      return signed ? view.getBigInt64(address, true) : view.getBigUint64(address, true);
    case 16: {
      const high = signed ? view.getBigInt64(address + 8, true) : view.getBigUint64(address + 8, true);
      return (high << 64n) | view.getBigUint64(address, true);
    }
    default:
      return null;
  }
}

export function readMember(member: FlatMember, view: DataView, address: number, options: ReadOptions): Value {
  const { type, offsetBits, bitfieldBits } = member;
  if (bitfieldBits === 0) return read(type, view, address + offsetBits / 8, options);
  const signed = (type.kind === "int" || type.kind === "enum") && type.signed;
  const bits = readBits(view, address, offsetBits, bitfieldBits, signed);
  const value = type.size <= 4 ? Number(bits) : bits;
  if (type.kind === "enum") return enumValue(type, value, options);
  return type.kind === "int" && type.encoding === "bool" ? bits !== 0n : value;
}

function enumValue(type: Extract<CType, { kind: "enum" }>, value: number | bigint, options: ReadOptions): Value {
  return options.enums === "number" ? value : (enumName(type, value) ?? value);
}

function readArray(type: ArrayType, view: DataView, address: number, options: ReadOptions): Value[] {
  const { element, length } = type;
  return Array.from({ length }, (_, index) => read(element, view, address + index * element.size, options));
}

/** Bytes that are no UTF-8 become U+FFFD. */
export function readText(type: ArrayType, view: DataView, address: number): string {
  let length = 0;
  while (length < type.length && view.getUint8(address + length) !== 0) length++;
  // The decoder refuses shared memory.
  return DECODER.decode(copy(view, address, length));
}
const DECODER = new TextDecoder();

export function copy(view: DataView, address: number, bytes: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + address, bytes).slice();
}
