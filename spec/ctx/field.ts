/** What a row of a context layout says: where a field lies, how it may be accessed, what a load of it yields. Bytes. */
import type { AttachTypeName } from "../sections.ts";

/**
 * What a load of the field yields. Packet pointers of 4 bytes are 32-bit arena addresses in the struct and become tagged
 * 64-bit pointers. `btf`: a trusted pointer to the kernel type that the field names.
 */
export type CtxFieldKind =
  | "scalar"
  | "packet"
  | "packetMeta"
  | "packetEnd"
  | "socket"
  | "socketOrNull"
  | "sockCommonOrNull"
  | "flowKeys"
  | "tpBuffer"
  | "btf"
  | "pointer";

export interface CtxField {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly kind: CtxFieldKind;
  readonly write: boolean;
  /** narrower loads than `size` are allowed; "start": only at the field's first byte */
  readonly narrow: boolean | "start";
  /** narrower loads of fewer bytes than these are not */
  readonly narrowest?: 2;
  /** accesses of this larger size are allowed, too, where the field's offset is a multiple of it */
  readonly wide?: 4 | 8;
  /** accesses of any size, aligned to it, also over several such fields (the cb array) */
  readonly anySize?: true;
  /** only for programs of these attach types */
  readonly attachTypes?: readonly AttachTypeName[];
  /** `write` holds only for programs of these attach types */
  readonly writeTypes?: readonly AttachTypeName[];
}

export interface CtxSpec {
  readonly name: string;
  /** bytes; null where the length is the event's own (tracepoints, raw tracepoints) */
  readonly size: number | null;
  readonly fields: readonly CtxField[];
  /**
   * What holds for bytes outside the listed fields: refuse, or plain scalars of any size, or only `size`, aligned to their size
   * inside [from, to); the kernel gives tracepoint programs bytes 8 … 8192 in this way (PERF_MAX_TRACE_SIZE).
   */
  readonly open: {
    readonly from: number;
    readonly to: number;
    readonly write: boolean;
    readonly size?: number;
  } | null;
}

export const scalar = (name: string, offset: number, size = 4, write = false): CtxField => ({
  name,
  offset,
  size,
  kind: "scalar",
  write,
  narrow: true,
});
/** Accessed at its full size only. */
export const whole = (name: string, offset: number, size = 4, write = false): CtxField => ({
  ...scalar(name, offset, size, write),
  narrow: false,
});
export const pointer = (name: string, offset: number, kind: CtxFieldKind, size = 4): CtxField => ({
  name,
  offset,
  size,
  kind,
  write: false,
  narrow: false,
});

/** An array of `count` 4-byte fields from `offset`, each with the rules of `like`. */
export const words = (name: string, offset: number, count: number, like: Partial<CtxField> = {}): readonly CtxField[] =>
  Array.from({ length: count }, (_, index) => ({ ...scalar(`${name}${index}`, offset + 4 * index), ...like }));
