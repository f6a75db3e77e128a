/** The kinds of CO-RE relocations. Source: enum bpf_core_relo_kind in include/uapi/linux/bpf.h. */

/** Index is the number in .BTF.ext. */
export const CORE_KINDS = [
  "fieldOffset",
  "fieldSize",
  "fieldExists",
  "fieldSigned",
  "fieldShiftLeft",
  "fieldShiftRight",
  "typeIdLocal",
  "typeIdTarget",
  "typeExists",
  "typeSize",
  "enumExists",
  "enumValue",
  "typeMatches",
] as const;
export type CoreKind = (typeof CORE_KINDS)[number];

export const isFieldKind = (kind: CoreKind): kind is Extract<CoreKind, `field${string}`> => kind.startsWith("field");
export const isTypeKind = (kind: CoreKind): kind is Extract<CoreKind, `type${string}`> => kind.startsWith("type");
