/**
 * Does a program read an event's fields where this capture has them? Compares the struct that the program was compiled
 * for with the format that the capture carries. A program finds its fields at offsets fixed at compile time, so over a
 * capture of another kernel it could read nonsense without noticing.
 */
import { CaptureError } from "../../base/index.ts";
import type { CType } from "../../spec/index.ts";

export interface LayoutDifference {
  readonly field: string;
  readonly expected: { readonly offsetBytes: number; readonly sizeBytes: number };
  readonly recorded: { readonly offsetBytes: number; readonly sizeBytes: number };
}

/**
 * Fields that both name and that lie elsewhere, or that the program takes for wider than they are, reading into what lies
 * behind. Fields that only one side has say nothing: structs leave out what they do not need, name the head `ent`, pad, and
 * spell system call arguments as `args`. A narrower field at the same offset is the low half of the recorded one, a wider
 * one over padding (`long` for a system call's number) is the same value. vmlinux.h spells `__data_loc char[] NAME` as `__data_loc_NAME`.
 */
export function compareLayout(compiled: CType, recorded: CType): readonly LayoutDifference[] {
  const fields = fieldsOf(recorded);
  const there = new Map(fields.map((field) => [field.name, field]));
  const differences: LayoutDifference[] = [];
  for (const field of fieldsOf(compiled)) {
    const match = there.get(field.name) ?? there.get(field.name.replace(/^__(data|rel)_loc_/, ""));
    if (match === undefined) continue;
    if (field.offsetBytes === match.offsetBytes && !reachesBeyond(field, match, fields, recorded.size)) continue;
    differences.push({ field: match.name, expected: place(field), recorded: place(match) });
  }
  return differences;
}

/** Does `field` take in bytes behind `match` that are another field's, or beyond the record? */
function reachesBeyond(field: Field, match: Field, fields: readonly Field[], recordBytes: number): boolean {
  if (field.sizeBytes <= match.sizeBytes) return false;
  const end = field.offsetBytes + field.sizeBytes;
  const next = fields.some((other) => other.offsetBytes > match.offsetBytes && other.offsetBytes < end);
  return next || end > recordBytes;
}

/** Throws CAPTURE_LAYOUT, naming every field that differs. `event` as in `sched/sched_switch`. */
export function requireLayout(program: string, compiled: CType, event: string, recorded: CType): void {
  const differences = compareLayout(compiled, recorded);
  if (differences.length === 0) return;
  const list = differences.map(
    ({ field, expected, recorded: actual }) =>
      `${field} is ${actual.sizeBytes} bytes at ${actual.offsetBytes}, not ${expected.sizeBytes} at ${expected.offsetBytes}`,
  );
  throw new CaptureError(
    "CAPTURE_LAYOUT",
    `${event} differs from what ${program} was compiled for: ${list.join("; ")}`,
    {
      where: { program },
    },
  );
}

interface Field {
  readonly name: string;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/**
 * Named members; those of anonymous structs count as the outer one's. The head's own members do not: programs cannot read
 * them, and vmlinux.h calls one of them `pid`, as many events call a field.
 */
function fieldsOf(type: CType, baseBits = 0): Field[] {
  if (type.kind !== "struct" && type.kind !== "union") return [];
  return type.members.flatMap((member) => {
    if (member.name === "") return fieldsOf(member.type, baseBits + member.offsetBits);
    // A flexible array has no bytes to compare, a bit-field no byte offset.
    if (member.bitfieldBits !== 0 || member.type.size === 0) return [];
    return [{ name: member.name, offsetBytes: (baseBits + member.offsetBits) / 8, sizeBytes: member.type.size }];
  });
}

const place = ({ offsetBytes, sizeBytes }: Field) => ({ offsetBytes, sizeBytes });
