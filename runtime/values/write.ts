/** JavaScript values → bytes of the arena, by C type. What does not fit the type exactly is refused, by the field's name. */
import { MapError, toHex } from "../../base/index.ts";
import type { CType } from "../../spec/index.ts";
import { writeBits } from "./bits.ts";
import {
  type ArrayType,
  extentBytes,
  type FlatMember,
  flatMembers,
  isStruct,
  isText,
  requireRoom,
  type StructType,
  typeName,
  type Value,
} from "./type.ts";

/**
 * Padding and members that an object leaves out become zero, as a hash key needs. Integers may be numbers or bigint,
 * enumerators names too, bytes of the type's size stand for any value. Throws MapError before anything is written.
 */
export function writeValue(type: CType, view: DataView, address: number, value: Value): void {
  requireRoom(type, address, view.byteLength);
  const bytes = new Uint8Array(extentBytes(type));
  write(type, new DataView(bytes.buffer), 0, value, "value");
  new Uint8Array(view.buffer, view.byteOffset + address, type.size).set(bytes.subarray(0, type.size));
}

function write(type: CType, view: DataView, address: number, value: Value, path: string): void {
  if (value instanceof Uint8Array) writeBytes(type, view, address, value, path);
  else if (isStruct(type)) writeStruct(type, view, address, value, path);
  else if (type.kind === "array" && isText(type) && typeof value === "string")
    writeText(type, view, address, value, path);
  else if (type.kind === "array") writeArray(type, view, address, value, path);
  else if (type.kind === "float") writeFloat(type, view, address, value, path);
  else if (type.kind === "opaque") throw misfit(type, value, path);
  else writeInteger(view, address, type.size, inRange(type, type.size * 8, value, path));
}

function writeBytes(type: CType, view: DataView, address: number, value: Uint8Array, path: string): void {
  if (value.length !== type.size) throw misfit(type, value, path);
  new Uint8Array(view.buffer, view.byteOffset + address, type.size).set(value);
}

function writeFloat(type: CType, view: DataView, address: number, value: Value, path: string): void {
  if (typeof value !== "number" || (type.size !== 4 && type.size !== 8)) throw misfit(type, value, path);
  if (type.size === 8) view.setFloat64(address, value, true);
  else view.setFloat32(address, value, true);
}

function writeInteger(view: DataView, address: number, size: number, value: bigint): void {
  let rest = value;
  for (let byte = 0; byte < size; byte++) {
    view.setUint8(address + byte, Number(rest & 0xffn));
    rest >>= 8n;
  }
}

/** The value as a bigint, enumerators by name too; throws unless `bits` bits hold it. */
function inRange(type: CType, bits: number, value: Value, path: string): bigint {
  const signed = (type.kind === "int" || type.kind === "enum") && type.signed;
  const entry = type.kind === "enum" ? type.values.find((candidate) => candidate.name === value) : undefined;
  const given = entry?.value ?? value;
  const whole = entry !== undefined || typeof given === "boolean" || Number.isSafeInteger(given);
  if (!whole && typeof given !== "bigint") throw misfit(type, value, path);
  const number = BigInt(given as number | bigint | boolean | string);
  const fits = signed ? BigInt.asIntN(bits, number) === number : BigInt.asUintN(bits, number) === number;
  if (!fits) throw misfit(type, value, path);
  return number;
}

/** As in C, the terminating zero may be left out where the text fills the array. */
function writeText(type: ArrayType, view: DataView, address: number, value: string, path: string): void {
  const bytes = new TextEncoder().encode(value);
  if (bytes.length > type.length) throw misfit(type, value, path);
  new Uint8Array(view.buffer, view.byteOffset + address, bytes.length).set(bytes);
}

function writeArray(type: ArrayType, view: DataView, address: number, value: Value, path: string): void {
  if (!Array.isArray(value) || value.length > type.length) throw misfit(type, value, path);
  for (const [index, item] of value.entries()) {
    write(type.element, view, address + index * type.element.size, item, `${path}[${index}]`);
  }
}

function writeStruct(type: StructType, view: DataView, address: number, value: Value, path: string): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw misfit(type, value, path);
  const members = new Map(flatMembers(type).map((member) => [member.name, member]));
  for (const [name, item] of Object.entries(value)) {
    const member = members.get(name);
    if (member === undefined) throw new MapError("MAP_KEY_TYPE", `${typeName(type)} has no member ${name} (${path})`);
    writeMember(member, view, address, item, `${path}.${name}`);
  }
}

/** One member of the struct at `address`; the others, and the bits around a bit-field, stay. `path` names it in messages. */
export function writeMember(member: FlatMember, view: DataView, address: number, value: Value, path: string): void {
  const { type, offsetBits, bitfieldBits } = member;
  if (bitfieldBits === 0) write(type, view, address + offsetBits / 8, value, path);
  else writeBits(view, address, offsetBits, bitfieldBits, inRange(type, bitfieldBits, value, path));
}

function misfit(type: CType, value: Value, path: string): MapError {
  return new MapError("MAP_KEY_TYPE", `${path}: ${describe(value)} does not fit ${typeName(type)}`);
}

function describe(value: Value): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array)
    return `${value.length} bytes (${toHex(value.subarray(0, 8))}${value.length > 8 ? "…" : ""})`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
