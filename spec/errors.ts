/**
 * Every error that bpfjit throws, by its stable code. docs/errors.md is generated from this table.
 * `kind` picks the class in base/errors.ts; `meaning` is for the docs, `remedy` is the default hint.
 */
import type { ErrnoName } from "./errno.ts";

export type ErrorKind =
  | "object"
  | "verifier"
  | "unsupported"
  | "map"
  | "attach"
  | "capture"
  | "usage"
  | "fault"
  | "bug";

export interface ErrorSpec {
  readonly kind: ErrorKind;
  readonly errno: ErrnoName | null;
  readonly meaning: string;
  readonly remedy: string | null;
}

const row = <K extends ErrorKind>(
  kind: K,
  errno: ErrnoName | null,
  meaning: string,
  remedy: string | null = null,
): ErrorSpec & { readonly kind: K } => ({ kind, errno, meaning, remedy });

export const ERRORS = {
  // reading an object
  ELF_MALFORMED: row(
    "object",
    "EINVAL",
    "the file is not a well-formed ELF64 little-endian BPF object",
    "build it with clang -g -O2 --target=bpf -c",
  ),
  ELF_TRUNCATED: row("object", "EINVAL", "a header, section or string lies outside the file"),
  SECTION_MALFORMED: row("object", "EINVAL", "a section's content breaks its format"),
  SYMBOL_MALFORMED: row("object", "EINVAL", "a symbol points outside its section or has no usable name"),
  RELOCATION_MALFORMED: row("object", "EINVAL", "a relocation is of unknown type or points to the wrong place"),
  RELOCATION_UNRESOLVED: row("object", "EINVAL", "a relocation's target does not exist"),
  MAP_DEFINITION: row("object", "EINVAL", "a map definition is not one that libbpf accepts"),
  LEGACY_MAPS: row(
    "object",
    "EOPNOTSUPP",
    "the object defines maps in a legacy maps section",
    'define them in SEC(".maps") with __uint and __type',
  ),
  BTF_MALFORMED: row("object", "EINVAL", "BTF or .BTF.ext is malformed"),
  BTF_MISSING: row(
    "object",
    "ESRCH",
    "BTF is needed and absent",
    "compile with -g; for CO-RE give a target BTF with --btf",
  ),
  CORE_UNRESOLVED: row("object", "ESRCH", "a CO-RE relocation finds no match in the target BTF"),
  CORE_AMBIGUOUS: row("object", "EINVAL", "a CO-RE relocation has matches that disagree"),
  EXTERN_UNRESOLVED: row("object", "ESRCH", "a strong extern is not known to the target"),
  KFUNC_MISSING: row("object", "EINVAL", "a kernel function is not in the target BTF"),
  ATTACH_BTF_MISSING: row(
    "object",
    "ESRCH",
    "the function, hook or tracepoint that a program attaches to is not in the target BTF",
  ),
  SECTION_UNKNOWN: row(
    "object",
    "EINVAL",
    "libbpf does not know what program type the section name means",
    "give the type explicitly",
  ),
  ASM_SYNTAX: row("object", "EINVAL", "text assembly cannot be parsed"),
  INSN_MALFORMED: row("object", "EINVAL", "an instruction encoding is cut short or not valid hexadecimal"),
  ARTIFACT_MALFORMED: row(
    "object",
    "EINVAL",
    "a prebuilt .wasm is not one that this version of bpfjit wrote",
    "build it again with bpfjit build",
  ),
  // the verifier
  REJECTED: row("verifier", "EACCES", "the kernel refuses this program too; the log says where and why"),
  // what the kernel takes and bpfjit does not yet
  UNSUPPORTED_HELPER: row("unsupported", "EOPNOTSUPP", "the program calls a helper that bpfjit does not implement"),
  UNSUPPORTED_KFUNC: row(
    "unsupported",
    "EOPNOTSUPP",
    "the program calls a kernel function that bpfjit does not implement",
  ),
  UNSUPPORTED_PROGRAM_TYPE: row("unsupported", "EOPNOTSUPP", "bpfjit cannot judge or run programs of this type"),
  UNSUPPORTED_MAP_TYPE: row("unsupported", "EOPNOTSUPP", "bpfjit has no map of this type"),
  UNSUPPORTED_FEATURE: row("unsupported", "EOPNOTSUPP", "the kernel may take it, bpfjit cannot yet judge or run it"),
  // maps
  MAP_CREATE: row("map", "EINVAL", "the kernel would refuse to create this map"),
  MAP_OPERATION: row("map", "EINVAL", "a map operation failed as it would in the kernel; errno tells how"),
  MAP_KEY_TYPE: row("map", "EINVAL", "a key or value does not fit the map's type or size"),
  ARENA_EXHAUSTED: row("map", "ENOMEM", "the arena has no room left", "raise maximumBytes of the runtime"),
  MEMORY_UNAVAILABLE: row(
    "map",
    "ENOMEM",
    "the host refuses a shared memory of this maximum size",
    "lower maximumBytes of the runtime",
  ),
  // links
  ATTACH_TARGET: row("attach", "ENOENT", "there is no such hook"),
  ATTACH_TYPE: row("attach", "EINVAL", "the program's type or attach type does not fit the hook"),
  ATTACH_FAILED: row("attach", "EINVAL", "the link could not be made"),
  LINK_CLOSED: row("attach", "EINVAL", "the link is detached already"),
  ITERATOR_FAILED: row("attach", "EIO", "reading an iterator failed as it would in the kernel; errno tells how"),
  // live processes
  TRACING_UNAVAILABLE: row(
    "attach",
    "EACCES",
    "the kernel's tracing files cannot be had: no Linux, not mounted, no rights",
  ),
  TRACING_FAILED: row("attach", "EIO", "the kernel refused an operation on its tracing files"),
  TRACING_TARGET: row("attach", "ESRCH", "there is no process or command to trace"),
  TRACED_FILE: row("attach", "EINVAL", "a file to be probed is no x86-64 program or library, or breaks the ELF format"),
  // captures
  CAPTURE_MALFORMED: row("capture", "EINVAL", "the capture breaks its format"),
  CAPTURE_TRUNCATED: row("capture", "EINVAL", "the capture ends in the middle of a record"),
  CAPTURE_UNSUPPORTED: row(
    "capture",
    "EOPNOTSUPP",
    "the capture uses a feature of its format that bpfjit does not read",
  ),
  CAPTURE_EVENT_MISSING: row("capture", "ENOENT", "no event of the capture feeds this program"),
  CAPTURE_LAYOUT: row("capture", "EINVAL", "an event's fields lie elsewhere than the program was compiled for"),
  // use
  USAGE: row("usage", "EINVAL", "an argument is missing, unknown or out of range"),
  INPUT_UNREADABLE: row("usage", "ENOENT", "an input file cannot be read"),
  OUTPUT_UNWRITABLE: row("usage", "EIO", "an output file cannot be written: no permission, no room, a closed stream"),
  CLOSED: row("usage", "EBADF", "the object, map or runtime is closed already"),
  // running
  MEMORY_FAULT: row("fault", "EFAULT", "an unverified program touched memory outside its stack and the given memory"),
  WORKER_LOST: row("fault", null, "a worker's thread died again and again before it could run anything"),
  RING_DAMAGED: row(
    "fault",
    "EIO",
    "a program wrote over the header of a record in a ring buffer: the kernel, too, accepts stores through a slice of a dynptr whose record was submitted before",
    "do not use slices of a record after it is submitted; what was in the ring is lost",
  ),
  BUDGET_EXHAUSTED: row("fault", "ETIMEDOUT", "an unverified program did not end within its budget"),
  PROGRAM_TRAPPED: row("bug", null, "a verified program trapped: a bug in bpfjit", "please report it with the object"),
  INVARIANT: row("bug", null, "an invariant of bpfjit broke: a bug in bpfjit", "please report it with the input"),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof ERRORS;
/** Codes of one kind, so that each error class takes its own only. */
export type ErrorCodeOf<K extends ErrorKind> = {
  [C in ErrorCode]: (typeof ERRORS)[C]["kind"] extends K ? C : never;
}[ErrorCode];
