/** Questions about a C type that reading, writing and printing all ask. */
import { MapError } from "../../base/index.ts";
import type { CMember, CType } from "../../spec/index.ts";

/** What a value of a C type is in JavaScript. 64-bit integers and pointers are bigint, wider and unknown ones bytes. */
export type Value =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | null
  | readonly Value[]
  | { readonly [name: string]: Value };

export type StructType = Extract<CType, { kind: "struct" | "union" }>;
export type ArrayType = Extract<CType, { kind: "array" }>;

export const isStruct = (type: CType): type is StructType => type.kind === "struct" || type.kind === "union";

/** `char`: clang's BTF says it by the name only. `unsigned char` is a byte. */
const isChar = (type: CType): boolean =>
  type.kind === "int" && type.size === 1 && (type.encoding === "char" || type.name === "char");

/** An array of char holds text up to its first zero. */
export const isText = (type: CType): boolean => type.kind === "array" && isChar(type.element);

/** An array of unsigned bytes is an address, a hash, a packet: it reads best as hexadecimal. */
export const isBytes = (type: CType): boolean =>
  type.kind === "array" &&
  type.element.kind === "int" &&
  type.element.size === 1 &&
  !type.element.signed &&
  type.element.encoding === "int" &&
  !isChar(type.element);

/** A member by its own name, those of anonymous structs and unions included, with its offset from the outermost struct. */
export interface FlatMember {
  readonly name: string;
  readonly offsetBits: number;
  readonly bitfieldBits: number;
  readonly type: CType;
}

const FLAT = new WeakMap<StructType, readonly FlatMember[]>();

export function flatMembers(type: StructType): readonly FlatMember[] {
  const known = FLAT.get(type);
  if (known !== undefined) return known;
  const members = type.members.flatMap((member) => flatten(member));
  FLAT.set(type, members);
  return members;
}

function flatten(member: CMember): readonly FlatMember[] {
  if (member.name !== "") return [member];
  // An anonymous bit-field is padding.
  if (!isStruct(member.type)) return [];
  return flatMembers(member.type).map((inner) => ({ ...inner, offsetBits: member.offsetBits + inner.offsetBits }));
}

const EXTENT = new WeakMap<CType, number>();

/**
 * Bytes that reading a value touches at most. It is `size` for every sound type; a type out of a damaged object may have
 * members beyond its end.
 */
export function extentBytes(type: CType): number {
  const known = EXTENT.get(type);
  if (known !== undefined) return known;
  const extent = Math.max(type.size, innerExtent(type));
  EXTENT.set(type, extent);
  return extent;
}

function innerExtent(type: CType): number {
  if (type.kind === "array") {
    return type.length === 0 ? 0 : (type.length - 1) * type.element.size + extentBytes(type.element);
  }
  if (!isStruct(type)) return 0;
  return type.members.reduce((end, member) => {
    const bits = member.bitfieldBits === 0 ? extentBytes(member.type) * 8 : member.bitfieldBits;
    return Math.max(end, Math.ceil((member.offsetBits + bits) / 8));
  }, 0);
}

/** Throws unless a value of this type fits into [address, limit). */
export function requireRoom(type: CType, address: number, limit: number): void {
  const needed = extentBytes(type);
  if (address >= 0 && address + needed <= limit) return;
  throw new MapError(
    "MAP_KEY_TYPE",
    `${typeName(type)} takes ${needed} bytes, but ${Math.max(0, limit - address)} are there`,
  );
}

/** The type as C writes it, as far as its name is known. */
export function typeName(type: CType): string {
  if (type.kind === "array") return `${typeName(type.element)}[${type.length}]`;
  if (type.kind === "pointer") return type.name || `${type.target} *`;
  if (isStruct(type) || type.kind === "enum") return `${type.kind} ${type.name || "(anonymous)"}`;
  return type.name || type.kind;
}

/** The enumerator's name, null where none has this value. */
export function enumName(type: Extract<CType, { kind: "enum" }>, value: number | bigint): string | null {
  const text = String(value);
  return type.values.find((entry) => String(entry.value) === text)?.name ?? null;
}
