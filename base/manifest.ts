/**
 * The manifest inside a compiled module: a custom section with JSON. The runtime reads it from prebuilt files, so what it
 * finds is checked before it is believed.
 */

import { ABI_VERSION, MANIFEST_SECTION } from "../spec/abi.ts";
import type { Manifest } from "../spec/artifact.ts";
import { mapTypeByName } from "../spec/map-types.ts";
import { programTypeByName } from "../spec/program-types.ts";
import { ByteReader, fromHex, toHex } from "./bytes.ts";
import { ObjectError } from "./errors.ts";

/** A Wasm module's bytes with the manifest appended. */
export function attachManifest(wasm: Uint8Array, manifest: Manifest): Uint8Array {
  const encoder = new TextEncoder();
  const name = encoder.encode(MANIFEST_SECTION);
  const content = encoder.encode(JSON.stringify(manifest, encodeValue));
  const payload = [...unsignedLeb(name.length), ...name];
  const header = [0, ...unsignedLeb(payload.length + content.length), ...payload];
  const bytes = new Uint8Array(wasm.length + header.length + content.length);
  bytes.set(wasm, 0);
  bytes.set(header, wasm.length);
  bytes.set(content, wasm.length + header.length);
  return bytes;
}

/** The manifest of a compiled module. Throws ObjectError ARTIFACT_MALFORMED where there is none that this version wrote. */
export function readManifest(wasm: Uint8Array): Manifest {
  const content = findSection(wasm);
  if (content === null) throw malformed("the module has no bpfjit manifest");
  let manifest: unknown;
  try {
    manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content), decodeValue);
  } catch (cause) {
    if (cause instanceof ObjectError) throw cause;
    throw new ObjectError("ARTIFACT_MALFORMED", "the manifest is not JSON", { cause });
  }
  checkManifest(manifest);
  return manifest;
}

const malformed = (message: string): ObjectError => new ObjectError("ARTIFACT_MALFORMED", message);

/** Bytes as hexadecimal under `$hex`, zeros at the end as their number under `$zeros`, bigint as decimal under `$big`. */
function encodeValue(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) {
    let end = value.length;
    while (end > 0 && value[end - 1] === 0) end--;
    return { $hex: toHex(value.subarray(0, end)), ...(end < value.length && { $zeros: value.length - end }) };
  }
  if (typeof value === "bigint") return { $big: value.toString() };
  return value;
}

function decodeValue(key: string, value: unknown): unknown {
  if (key === "__proto__") return undefined;
  if (typeof value !== "object" || value === null) return value;
  if ("$hex" in value && typeof value.$hex === "string") {
    const bytes = fromHex(value.$hex);
    const zeros = "$zeros" in value ? value.$zeros : 0;
    if (bytes === null) throw malformed("the manifest has bytes that are not hexadecimal");
    if (!isCount(zeros) || (zeros as number) > MOST_ZEROS) throw malformed("the manifest has too many zeros");
    const whole = new Uint8Array(bytes.length + (zeros as number));
    whole.set(bytes);
    return whole;
  }
  if ("$big" in value && typeof value.$big === "string" && /^\d{1,20}$/.test(value.$big)) return BigInt(value.$big);
  return value;
}

/** More than any value of a map fits into the memory of programs. */
const MOST_ZEROS = 2 ** 31;

function findSection(wasm: Uint8Array): Uint8Array | null {
  const reader = new ByteReader(wasm, () => malformed("the module is cut short"));
  if (reader.u32(0) !== WASM_MAGIC || reader.u32(4) !== WASM_VERSION) throw malformed("the file is not a Wasm module");
  let offset = 8;
  let found: Uint8Array | null = null;
  while (offset < wasm.length) {
    const id = reader.u8(offset);
    const size = readLeb(reader, offset + 1);
    const section = reader.slice(size.next, size.value);
    offset = size.next + size.value;
    if (id !== 0) continue;
    const inner = new ByteReader(section, () => malformed("a custom section is cut short"));
    const nameSize = readLeb(inner, 0);
    const name = new TextDecoder().decode(inner.slice(nameSize.next, nameSize.value));
    if (name === MANIFEST_SECTION) found = section.subarray(nameSize.next + nameSize.value);
  }
  return found;
}
const WASM_MAGIC = 0x6d73_6100;
const WASM_VERSION = 1;

function readLeb(reader: ByteReader, offset: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let index = 0; index < 5; index++) {
    const byte = reader.u8(offset + index);
    value += (byte & 0x7f) * 2 ** (7 * index);
    if ((byte & 0x80) === 0) return { value, next: offset + index + 1 };
  }
  throw malformed("a length in the module is too long");
}

function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isText = (value: unknown): boolean => typeof value === "string";
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);
const isFlag = (value: unknown): boolean => typeof value === "boolean";
const isList = (value: unknown, item: (value: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(item);
const isAbsentOr = (value: unknown, test: (value: unknown) => boolean): boolean => value === undefined || test(value);

/** Asserts the shape, not the sense: link time checks sizes and types against the tables again. */
function checkManifest(value: unknown): asserts value is Manifest {
  if (!isObject(value)) throw malformed("the manifest is no object");
  if (value.abiVersion !== ABI_VERSION)
    throw malformed(`the module speaks ABI ${String(value.abiVersion)}, this version of bpfjit ${ABI_VERSION}`);
  const hasShape =
    isText(value.name) &&
    isText(value.license) &&
    isObject(value.types) &&
    isList(value.maps, isMapSpec) &&
    isList(value.programs, isProgram);
  if (!hasShape) throw malformed("the manifest lacks a field or has one of the wrong type");
}

function isMapSpec(value: unknown): boolean {
  return (
    isObject(value) &&
    isText(value.name) &&
    isText(value.type) &&
    mapTypeByName(value.type as string) !== undefined &&
    ["keySize", "valueSize", "maxEntries", "flags"].every((field) => isCount(value[field])) &&
    (value.keyType === null || isObject(value.keyType)) &&
    (value.valueType === null || isObject(value.valueType)) &&
    isAbsentOr(value.fields, (fields) => isList(fields, isSpecialField)) &&
    (value.initial === null || value.initial instanceof Uint8Array) &&
    isFlag(value.frozen) &&
    isTextOrNull(value.section) &&
    isList(
      value.variables,
      (entry) => isObject(entry) && isText(entry.name) && isCount(entry.offsetBytes) && isCount(entry.sizeBytes),
    ) &&
    isList(value.programs, (entry) => isObject(entry) && isCount(entry.index) && isText(entry.program)) &&
    (value.inner === null || isObject(value.inner)) &&
    isList(value.innerMaps, (entry) => isObject(entry) && isCount(entry.index) && isText(entry.map)) &&
    isFlag(value.pinned) &&
    typeof value.extra === "bigint"
  );
}

const isSpecialField = (value: unknown): boolean =>
  isObject(value) && isText(value.kind) && isCount(value.offsetBytes) && isCount(value.sizeBytes);

function isProgram(value: unknown): boolean {
  return (
    isObject(value) &&
    isText(value.name) &&
    isText(value.section) &&
    isText(value.type) &&
    programTypeByName(value.type as string) !== undefined &&
    isTextOrNull(value.attachType) &&
    isTextOrNull(value.attachTarget) &&
    isFlag(value.autoload) &&
    isCount(value.insns) &&
    isAbsentOr(value.ctxBytes, isCount) &&
    isAbsentOr(value.memoryBytes, isCount) &&
    isAbsentOr(value.bufferBytes, (bytes) => isObject(bytes) && isCount(bytes.readOnly) && isCount(bytes.writable)) &&
    isList(value.helpers, isText) &&
    isList(value.maps, isCount) &&
    isList(value.records, (entry) => isObject(entry) && isCount(entry.map))
  );
}
