/**
 * A C type as the runtime needs it to read and print values: BTF resolved to a tree, so that what runs a prebuilt
 * program needs no BTF parser. Pointers name their target instead of holding it, which keeps the tree finite.
 */
export type CType =
  | {
      readonly kind: "int";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly encoding: "int" | "char" | "bool";
    }
  | { readonly kind: "float"; readonly name: string; readonly size: number }
  | {
      readonly kind: "enum";
      readonly name: string;
      readonly size: number;
      readonly signed: boolean;
      readonly values: readonly EnumValue[];
    }
  | { readonly kind: "pointer"; readonly name: string; readonly size: 8; readonly target: string }
  | { readonly kind: "array"; readonly size: number; readonly length: number; readonly element: CType }
  | {
      readonly kind: "struct" | "union";
      readonly name: string;
      readonly size: number;
      readonly members: readonly CMember[];
    }
  /** void, functions, forward declarations and whatever else has no readable bytes */
  | { readonly kind: "opaque"; readonly name: string; readonly size: number };

/** `value` is a decimal string where it does not fit a safe integer. */
export interface EnumValue {
  readonly name: string;
  readonly value: number | string;
}

export interface CMember {
  /** empty for an anonymous struct or union, whose members count as the outer one's */
  readonly name: string;
  readonly offsetBits: number;
  /** 0 unless a bit-field */
  readonly bitfieldBits: number;
  readonly type: CType;
}
