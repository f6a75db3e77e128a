/**
 * What a module's user must know of the kernel that its programs were prepared for, taken from that kernel's BTF: where the
 * members of its structs lie that event sources fill, and how wide the arguments of hooks are.
 */
import { KERNEL_OBJECTS, type KernelLayout, type KernelLayouts, type MemberPlace } from "../../spec/index.ts";
import type { Btf } from "../object/btf/btf.ts";
import { prototypeOf } from "../object/btf/prototype.ts";
import { findTracepoint } from "../object/btf/raw-tracepoints.ts";
import type { Program } from "../program.ts";

/** Undefined where no program was prepared for a kernel. */
export function kernelLayouts(programs: readonly Program[]): KernelLayouts | undefined {
  const btf = programs.find(({ targetBtf }) => targetBtf)?.targetBtf;
  return btf ? kernelLayoutsOf(btf) : undefined;
}

export function kernelLayoutsOf(btf: Btf): KernelLayouts {
  const layouts: Record<string, KernelLayout> = {};
  for (const [struct, paths] of Object.entries(KERNEL_OBJECTS)) {
    const layout = layoutOf(btf, struct, paths);
    if (layout !== null) layouts[struct] = layout;
  }
  return layouts;
}

function layoutOf(btf: Btf, struct: string, paths: readonly string[]): KernelLayout | null {
  const id = btf.findByName(struct, "struct");
  const type = id === null ? null : btf.typeById(id);
  if (id === null || type?.kind !== "struct") return null;
  const places = paths.flatMap((path) => {
    const place = placeOf(btf, id, path.split("."));
    return place === null ? [] : [[path, place] as const];
  });
  // elements of an array at the end lie behind what the struct counts as its size
  const bytes = Math.max(type.size, ...places.map(([, place]) => place.offsetBytes + place.bytes));
  return { bytes, members: Object.fromEntries(places) };
}

/** Null where the struct has no such member, or only as a bit-field. Elements of arrays go by their number. */
function placeOf(btf: Btf, struct: number, path: readonly string[]): MemberPlace | null {
  const [name, ...rest] = path;
  const found = findElement(btf, struct, name!) ?? findMember(btf, struct, name!);
  if (found === null) return null;
  const { member, offsetBytes } = found;
  if (rest.length === 0) {
    const bytes = btf.sizeOf(member.type);
    return bytes === null ? null : { offsetBytes, bytes };
  }
  const inner = placeOf(btf, btf.skipModifiers(member.type), rest);
  return inner === null ? null : { ...inner, offsetBytes: offsetBytes + inner.offsetBytes };
}

interface Found {
  readonly member: { readonly type: number };
  readonly offsetBytes: number;
}

function findElement(btf: Btf, id: number, index: string): Found | null {
  const type = btf.typeById(id);
  if (type.kind !== "array") return null;
  const bytes = btf.sizeOf(type.element);
  return bytes === null ? null : { member: { type: type.element }, offsetBytes: Number(index) * bytes };
}

/** By name, through anonymous structs and unions. */
function findMember(btf: Btf, id: number, name: string): Found | null {
  const type = btf.typeById(id);
  if (type.kind !== "struct" && type.kind !== "union") return null;
  for (const member of type.members) {
    const offsetBytes = member.offsetBits / 8;
    if (member.name === name) return member.bitfieldBits === 0 ? { member, offsetBytes } : null;
    if (member.name !== "") continue;
    const inner = findMember(btf, btf.skipModifiers(member.type), name);
    if (inner !== null) return { ...inner, offsetBytes: offsetBytes + inner.offsetBytes };
  }
  return null;
}

const WORD_BYTES = 8;

/** Bytes of each argument of the function or raw tracepoint that the program is for; undefined where BTF does not tell. */
export function argumentBytes(program: Program): readonly number[] | undefined {
  const { type, attachTarget, attachBtf, targetBtf } = program;
  if (type === "tracing" && attachBtf !== undefined) return widths(attachBtf.btf, attachBtf.id);
  if (type !== "raw_tracepoint" && type !== "raw_tracepoint_writable") return undefined;
  return targetBtf && attachTarget ? rawTracepointArguments(targetBtf, attachTarget) : undefined;
}

/** The same of a raw tracepoint by its name; undefined: BTF has none of it. */
export function rawTracepointArguments(btf: Btf, name: string): readonly number[] | undefined {
  const id = findTracepoint(btf, name);
  return id === null ? undefined : widths(btf, id);
}

/** A typedef of a raw tracepoint points to a prototype whose first parameter is the kernel's own. */
function widths(btf: Btf, id: number): readonly number[] | undefined {
  const traced = prototypeOf(btf, id, "func");
  const passed = traced?.parameters ?? prototypeOf(btf, id, "ptr")?.parameters.slice(1);
  return passed?.map((parameter) => btf.sizeOf(parameter.type) ?? WORD_BYTES);
}
