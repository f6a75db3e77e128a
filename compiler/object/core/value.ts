/**
 * What a relocation's instruction should hold: once as the program was compiled, once for the target.
 * Source: libbpf, bpf_core_calc_relo() and what it calls.
 */
import { ObjectError } from "../../../base/index.ts";
import type { BtfType } from "../btf/types.ts";
import { type CoreKind, isFieldKind, isTypeKind } from "./kinds.ts";
import { memberOf, type Spec, sizeOf } from "./spec.ts";

export interface CoreValue {
  /** unsigned 64 bits; what the instruction holds now */
  readonly original: bigint;
  readonly value: bigint;
  /** the target has nothing that would do: the instruction must never be reached */
  readonly isMissing: boolean;
  /** `original` is to be checked */
  readonly isChecked: boolean;
  /** bytes of the field that a load or store is for, 0: not known */
  readonly originalBytes: number;
  readonly bytes: number;
  /** a load may take the new size: pointers and unsigned integers, whose upper bits are zero */
  readonly mayResize: boolean;
}

/** One side's part of the answer. */
interface Side {
  readonly value: bigint;
  readonly isChecked: boolean;
  readonly bytes: number;
  readonly type: BtfType | null;
}

/** `target` is null where no candidate matches. */
export function coreValue(kind: CoreKind, local: Spec, target: Spec | null): CoreValue {
  const before = sideOf(kind, local)!;
  const after = sideOf(kind, target);
  return {
    original: before.value,
    value: after?.value ?? 0n,
    isMissing: after === null,
    isChecked: before.isChecked,
    originalBytes: after === null ? 0 : before.bytes,
    bytes: after?.bytes ?? 0,
    mayResize: after === null || before.bytes === after.bytes || isResizable(before.type, after.type),
  };
}

function isResizable(before: BtfType | null, after: BtfType | null): boolean {
  if (before?.kind === "ptr" && after?.kind === "ptr") return true;
  return before?.kind === "int" && after?.kind === "int" && !isPlainSigned(before) && !isPlainSigned(after);
}
const isPlainSigned = (type: Extract<BtfType, { kind: "int" }>): boolean => type.signed && !type.char && !type.bool;

/** Null: there is no value, and the instruction cannot stay. */
function sideOf(kind: CoreKind, spec: Spec | null): Side | null {
  if (isFieldKind(kind)) {
    if (kind === "fieldExists") return plain(spec === null ? 0n : 1n);
    return spec === null ? null : fieldSide(kind, spec);
  }
  if (isTypeKind(kind)) {
    if (spec === null) return plain(0n);
    if (kind === "typeSize") return plain(BigInt(sizeOf(spec.btf, spec.root)));
    // Linking may have renumbered types since the instruction was made.
    if (kind === "typeIdTarget" || kind === "typeIdLocal") return { ...plain(BigInt(spec.root)), isChecked: false };
    return plain(1n);
  }
  if (kind === "enumExists") return plain(spec === null ? 0n : 1n);
  return spec === null ? null : plain(enumValue(spec));
}

const plain = (value: bigint): Side => ({ value, isChecked: true, bytes: 0, type: null });

/** 32-bit enumerators are taken as signed whatever the enum says. */
function enumValue({ btf, accessors }: Spec): bigint {
  const { type: id, index } = accessors[0]!;
  const type = btf.typeById(id);
  if (type.kind === "enum") return BigInt.asUintN(64, BigInt.asIntN(32, type.values[index]!.value));
  if (type.kind === "enum64") return BigInt.asUintN(64, type.values[index]!.value);
  throw new ObjectError("BTF_MALFORMED", `type ${id} is a ${type.kind}, not an enum`);
}

function fieldSide(kind: Exclude<Extract<CoreKind, `field${string}`>, "fieldExists">, spec: Spec): Side {
  const { btf, accessors, bitOffset } = spec;
  const last = accessors[accessors.length - 1]!;
  if (last.name === null) {
    const bytes = sizeOf(btf, last.type);
    if (kind === "fieldOffset")
      return { value: offsetValue(bitOffset), isChecked: true, bytes, type: btf.typeById(last.type) };
    if (kind === "fieldSize") return plain(BigInt(bytes));
    throw new ObjectError("BTF_MALFORMED", `CO-RE relocation ${kind} of an array element`);
  }
  const member = memberOf(btf, last);
  const type = btf.resolve(member.type);
  const place = member.bitfieldBits > 0 ? bitfieldPlace(spec, member.bitfieldBits, type) : null;
  const bytes = place?.bytes ?? sizeOf(btf, btf.skipModifiers(member.type));
  const byteOffset = place?.byteOffset ?? Math.floor(bitOffset / 8);
  const bits = place === null ? bytes * 8 : member.bitfieldBits;
  // Compiler and loader may choose different words for a bit-field; only its sign and width are certain.
  const side = (value: number, isCertain = false): Side => ({
    value: BigInt.asUintN(64, BigInt(value)),
    isChecked: isCertain || place === null,
    bytes: 0,
    type: null,
  });
  switch (kind) {
    case "fieldOffset":
      return place === null ? { ...side(byteOffset), bytes, type } : side(byteOffset);
    case "fieldSize":
      return side(bytes);
    case "fieldSigned":
      return side((type.kind === "enum" || type.kind === "enum64" || type.kind === "int") && type.signed ? 1 : 0, true);
    case "fieldShiftLeft":
      return side(64 - (bitOffset + bits - byteOffset * 8));
    case "fieldShiftRight":
      return side(64 - bits, true);
  }
}

const offsetValue = (bitOffset: number): bigint => BigInt(Math.floor(bitOffset / 8));

/** The smallest aligned word, at least as large as the field's type, that holds all of a bit-field. */
function bitfieldPlace({ bitOffset }: Spec, bits: number, type: BtfType): { bytes: number; byteOffset: number } {
  let bytes = "size" in type ? type.size : 0;
  if (![1, 2, 4, 8, 16].includes(bytes)) throw new ObjectError("BTF_MALFORMED", `a bit-field of ${bytes} bytes`);
  for (;;) {
    const byteOffset = Math.floor(bitOffset / 8 / bytes) * bytes;
    if (bitOffset + bits <= (byteOffset + bytes) * 8) return { bytes, byteOffset };
    if (bytes >= 8) throw new ObjectError("CORE_UNRESOLVED", "a bit-field does not fit in any 64-bit word");
    bytes *= 2;
  }
}
