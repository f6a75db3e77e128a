/**
 * BTF types, decoded. Ids are numbers of other types in the same BTF; 0 is void.
 * Source: Documentation/bpf/btf.rst; include/uapi/linux/btf.h.
 */
import { ObjectError } from "../../../base/index.ts";
import type { StringTable } from "../strings.ts";

/** Index is the kind's number in the file. */
export const BTF_KINDS = [
  "void",
  "int",
  "ptr",
  "array",
  "struct",
  "union",
  "enum",
  "fwd",
  "typedef",
  "volatile",
  "const",
  "restrict",
  "func",
  "func_proto",
  "var",
  "datasec",
  "float",
  "decl_tag",
  "type_tag",
  "enum64",
] as const;
export type BtfKind = (typeof BTF_KINDS)[number];

export interface BtfMember {
  readonly name: string;
  readonly type: number;
  readonly offsetBits: number;
  /** 0 unless a bit-field */
  readonly bitfieldBits: number;
}

export interface BtfEnumerator {
  readonly name: string;
  /** as the enum's signedness says */
  readonly value: bigint;
}

export interface BtfParameter {
  readonly name: string;
  readonly type: number;
}

export interface BtfVariable {
  /** id of a var or func */
  readonly type: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export type BtfLinkage = "static" | "global" | "extern";

export type BtfType =
  | { readonly kind: "void"; readonly name: "" }
  | {
      readonly kind: "int";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly char: boolean;
      readonly bool: boolean;
      readonly offsetBits: number;
      readonly bits: number;
    }
  | { readonly kind: "float"; readonly name: string; readonly size: number }
  | { readonly kind: "ptr"; readonly name: ""; readonly type: number }
  | {
      readonly kind: "typedef" | "volatile" | "const" | "restrict" | "type_tag";
      readonly name: string;
      readonly type: number;
    }
  | {
      readonly kind: "array";
      readonly name: "";
      readonly element: number;
      readonly index: number;
      readonly length: number;
    }
  | {
      readonly kind: "struct" | "union";
      readonly name: string;
      readonly size: number;
      readonly members: readonly BtfMember[];
    }
  | {
      readonly kind: "enum" | "enum64";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly BtfEnumerator[];
    }
  | { readonly kind: "fwd"; readonly name: string; readonly union: boolean }
  | { readonly kind: "func"; readonly name: string; readonly type: number; readonly linkage: BtfLinkage }
  | {
      readonly kind: "func_proto";
      readonly name: "";
      readonly returns: number;
      readonly parameters: readonly BtfParameter[];
    }
  | { readonly kind: "var"; readonly name: string; readonly type: number; readonly linkage: BtfLinkage }
  | {
      readonly kind: "datasec";
      readonly name: string;
      readonly size: number;
      readonly variables: readonly BtfVariable[];
    }
  | {
      readonly kind: "decl_tag";
      /** the tag's text */
      readonly name: string;
      readonly type: number;
      /** member or parameter it is on, -1: the type itself */
      readonly component: number;
    };

export const VOID: BtfType = { kind: "void", name: "" };

/** Bytes of every type's head: name, info, size or type. */
export const TYPE_HEAD_BYTES = 12;

/** Bytes behind the head, by kind number: fixed, and for each of `vlen` entries. */
export const TYPE_TAIL: readonly { readonly fixed: number; readonly entry: number }[] = BTF_KINDS.map((kind) => {
  switch (kind) {
    case "int":
    case "var":
    case "decl_tag":
      return { fixed: 4, entry: 0 };
    case "array":
      return { fixed: 12, entry: 0 };
    case "struct":
    case "union":
    case "datasec":
    case "enum64":
      return { fixed: 0, entry: 12 };
    case "enum":
    case "func_proto":
      return { fixed: 0, entry: 8 };
    default:
      return { fixed: 0, entry: 0 };
  }
});

/** `info`: bits 0 … 15 count, 24 … 28 kind, 31 flag. */
export const infoKind = (info: number): number => (info >>> 24) & 0x1f;
export const infoCount = (info: number): number => info & 0xffff;
const infoFlag = (info: number): boolean => info >>> 31 === 1;

const LINKAGES: readonly BtfLinkage[] = ["static", "global", "extern"];
const INT_SIGNED = 1;
const INT_CHAR = 2;
const INT_BOOL = 4;

/** Decodes the type whose head is at `at`. The caller has checked that head and tail lie inside. */
export function decodeType(view: DataView, at: number, strings: StringTable, id: number): BtfType {
  const u32 = (offset: number) => view.getUint32(at + offset, true);
  const s32 = (offset: number) => view.getInt32(at + offset, true);
  const info = u32(4);
  const kind = BTF_KINDS[infoKind(info)]!;
  const count = infoCount(info);
  const flag = infoFlag(info);
  const name = strings.at(u32(0));
  const entries = <T>(bytes: number, decode: (offset: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => decode(TYPE_HEAD_BYTES + index * bytes));
  switch (kind) {
    case "void":
      return VOID;
    case "int": {
      const detail = u32(12);
      const encoding = (detail >>> 24) & 15;
      return {
        kind,
        name,
        size: u32(8),
        signed: (encoding & INT_SIGNED) !== 0,
        char: (encoding & INT_CHAR) !== 0,
        bool: (encoding & INT_BOOL) !== 0,
        offsetBits: (detail >>> 16) & 0xff,
        bits: detail & 0xff,
      };
    }
    case "float":
      return { kind, name, size: u32(8) };
    case "ptr":
      return { kind, name: "", type: u32(8) };
    case "typedef":
    case "volatile":
    case "const":
    case "restrict":
    case "type_tag":
      return { kind, name, type: u32(8) };
    case "array":
      return { kind, name: "", element: u32(12), index: u32(16), length: u32(20) };
    case "struct":
    case "union":
      return {
        kind,
        name,
        size: u32(8),
        members: entries(12, (offset) => {
          const position = u32(offset + 8);
          return {
            name: strings.at(u32(offset)),
            type: u32(offset + 4),
            offsetBits: flag ? position & 0xffffff : position,
            bitfieldBits: flag ? position >>> 24 : 0,
          };
        }),
      };
    case "enum":
      return {
        kind,
        name,
        size: u32(8),
        signed: flag,
        values: entries(8, (offset) => ({
          name: strings.at(u32(offset)),
          value: BigInt(flag ? s32(offset + 4) : u32(offset + 4)),
        })),
      };
    case "enum64":
      return {
        kind,
        name,
        size: u32(8),
        signed: flag,
        values: entries(12, (offset) => ({
          name: strings.at(u32(offset)),
          value: (BigInt(flag ? s32(offset + 8) : u32(offset + 8)) << 32n) | BigInt(u32(offset + 4)),
        })),
      };
    case "fwd":
      return { kind, name, union: flag };
    case "func":
      return { kind, name, type: u32(8), linkage: linkageOf(count, id) };
    case "func_proto":
      return {
        kind,
        name: "",
        returns: u32(8),
        parameters: entries(8, (offset) => ({ name: strings.at(u32(offset)), type: u32(offset + 4) })),
      };
    case "var":
      return { kind, name, type: u32(8), linkage: linkageOf(u32(12), id) };
    case "datasec":
      return {
        kind,
        name,
        size: u32(8),
        variables: entries(12, (offset) => ({
          type: u32(offset),
          offsetBytes: u32(offset + 4),
          sizeBytes: u32(offset + 8),
        })),
      };
    case "decl_tag":
      return { kind, name, type: u32(8), component: s32(12) };
  }
}

function linkageOf(number: number, id: number): BtfLinkage {
  const linkage = LINKAGES[number];
  if (linkage === undefined) throw new ObjectError("BTF_MALFORMED", `type ${id} has linkage ${number}`);
  return linkage;
}
