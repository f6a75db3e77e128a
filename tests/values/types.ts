/** Types under test, as a compiler's BTF would give them. */
import type { CMember, CType } from "../../spec/index.ts";

export const int = (name: string, size: number, signed: boolean): CType => ({
  kind: "int",
  name,
  size,
  signed,
  encoding: name === "char" ? "char" : name === "_Bool" ? "bool" : "int",
});
export const U8 = int("unsigned char", 1, false);
export const U16 = int("unsigned short", 2, false);
export const U32 = int("unsigned int", 4, false);
export const S32 = int("int", 4, true);
export const U64 = int("unsigned long long", 8, false);
export const S64 = int("long long", 8, true);
export const CHAR = int("char", 1, true);
export const BOOL = int("_Bool", 1, false);
export const POINTER: CType = { kind: "pointer", name: "", size: 8, target: "void" };
export const DOUBLE: CType = { kind: "float", name: "double", size: 8 };

export const KIND: CType = {
  kind: "enum",
  name: "kind",
  size: 4,
  signed: false,
  values: [
    { name: "PROCESS_EXEC", value: 1 },
    { name: "PROCESS_EXIT", value: 2 },
  ],
};
export const WIDE: CType = {
  kind: "enum",
  name: "wide",
  size: 8,
  signed: false,
  values: [{ name: "HUGE", value: "18446744073709551615" }],
};

export const array = (element: CType, length: number): CType => ({
  kind: "array",
  size: element.size * length,
  length,
  element,
});
export const COMM = array(CHAR, 16);

export const member = (name: string, offsetBytes: number, type: CType): CMember => ({
  name,
  offsetBits: offsetBytes * 8,
  bitfieldBits: 0,
  type,
});
export const bits = (name: string, offsetBits: number, bitfieldBits: number, type: CType): CMember => ({
  name,
  offsetBits,
  bitfieldBits,
  type,
});
export const struct = (name: string, size: number, members: readonly CMember[]): CType => ({
  kind: "struct",
  name,
  size,
  members,
});
export const union = (name: string, size: number, members: readonly CMember[]): CType => ({
  kind: "union",
  name,
  size,
  members,
});

/** struct event { u64 time; u32 pid; enum kind kind; char comm[16]; } */
export const EVENT = struct("event", 32, [
  member("time", 0, U64),
  member("pid", 8, U32),
  member("kind", 12, KIND),
  member("comm", 16, COMM),
]);

export const INNER = struct("inner", 8, [member("a", 0, U16), member("b", 4, S32)]);

/** One of everything. */
export const EVERYTHING = struct("everything", 128, [
  member("flag", 0, BOOL),
  member("small", 2, U16),
  member("number", 4, S32),
  member("big", 8, S64),
  member("address", 16, POINTER),
  member("real", 24, DOUBLE),
  member("kind", 32, KIND),
  bits("low", 36 * 8, 3, U32),
  bits("signed", 36 * 8 + 3, 5, S32),
  bits("across", 36 * 8 + 8, 20, U32),
  member("wide", 40, WIDE),
  member("comm", 48, COMM),
  member("mac", 64, array(U8, 6)),
  member("words", 72, array(U32, 3)),
  member("", 84, union("", 4, [member("either", 0, U32), member("or", 0, U16)])),
  member("inner", 88, INNER),
  member("inners", 96, array(INNER, 2)),
  member("grid", 112, array(array(U16, 2), 3)),
]);
