/**
 * Tracepoints that an embedding program defines: a name and named arguments, which programs get as the kernel's raw
 * tracepoints give theirs: each in 8 bytes, integers zero-extended from their own width, texts and pointers as addresses.
 */
interface ArgumentSpec {
  /** as C writes it in the prototype */
  readonly c: string;
  readonly bytes: 1 | 2 | 4 | 8;
  readonly is: "integer" | "bool" | "text" | "pointer";
  readonly signed: boolean;
}

const integer = (c: string, bytes: ArgumentSpec["bytes"], signed: boolean): ArgumentSpec => ({
  c,
  bytes,
  is: "integer",
  signed,
});

export const TRACEPOINT_ARGUMENTS = {
  bool: { c: "_Bool", bytes: 1, is: "bool", signed: false },
  u8: integer("unsigned char", 1, false),
  u16: integer("unsigned short", 2, false),
  u32: integer("unsigned int", 4, false),
  u64: integer("unsigned long long", 8, false),
  s8: integer("signed char", 1, true),
  s16: integer("short", 2, true),
  s32: integer("int", 4, true),
  s64: integer("long long", 8, true),
  /** a pointer to a zero-terminated text in UTF-8, good while the event runs: read it with bpf_probe_read_kernel_str() */
  str: { c: "char", bytes: 8, is: "text", signed: false },
  /** an address, or a kernel object */
  ptr: { c: "void", bytes: 8, is: "pointer", signed: false },
} as const satisfies Readonly<Record<string, ArgumentSpec>>;

export type TracepointArgument = keyof typeof TRACEPOINT_ARGUMENTS;
export type TracepointArguments = Readonly<Record<string, TracepointArgument>>;

export interface TracepointDefinition<Args extends TracepointArguments = TracepointArguments> {
  readonly name: string;
  /** in the order in which programs get them; at most 12 */
  readonly args: Args;
}

/** Names that C can say. */
export const TRACEPOINT_NAME = /^[A-Za-z_]\w{0,126}$/;
