/**
 * The special fields of a struct or of a section of variables: what map values and allocated objects hold beside plain
 * bytes. In arrays and structs inside too. Kernel: btf_parse_fields(), btf_parse_struct_metas().
 */
import type { ErrnoName } from "../../../spec/errno.ts";
import {
  OWNED_KERNEL_TYPES,
  SPECIAL_FIELDS,
  type SpecialField,
  type SpecialFieldKind,
  type SpecialFieldSpec,
  specialField,
} from "../../../spec/special-fields.ts";
import type { Btf } from "./btf.ts";
import { isModifier } from "./btf.ts";
import type { BtfType } from "./types.ts";

/** Whether the kernel, or a module, has a struct or union of that name. */
export type IsKernelType = (name: string, kind: "struct" | "union") => boolean;

/** The kernel's BTF_FIELDS_MAX and MAX_RESOLVE_DEPTH. */
const MOST_FIELDS = 11;
const MOST_DEPTH = 32;
const CONTAINS = "contains:";

/** Why there can be no such value; the kernel refuses the map or the BTF. */
export class FieldsError extends Error {
  readonly errno: ErrnoName;
  constructor(errno: ErrnoName, message: string) {
    super(message);
    this.errno = errno;
  }
}

type Composite = Extract<BtfType, { kind: "struct" | "union" }>;

/** A field before its target is looked up. */
interface Draft {
  readonly kind: SpecialFieldKind;
  readonly offsetBytes: number;
  readonly type?: number;
  readonly node?: string;
}

/** One parse: which kinds count, and what was found so far. */
interface Search {
  readonly btf: Btf;
  readonly kinds: ReadonlySet<SpecialFieldKind>;
  readonly seen: Set<SpecialFieldKind>;
}

/** Kinds that make the value of a map special; nodes do not. */
const IN_MAPS: ReadonlySet<SpecialFieldKind> = new Set(
  SPECIAL_FIELDS.filter((row) => row.maps.length > 0).map((row) => row.kind),
);
const IN_OBJECTS: ReadonlySet<SpecialFieldKind> = new Set(
  SPECIAL_FIELDS.filter((row) => row.inObjects).map((row) => row.kind),
);

/** Fields of a map's value of struct or union type `id`, ascending. Throws FieldsError. */
export function fieldsOfValue(btf: Btf, id: number, isKernelType: IsKernelType): readonly SpecialField[] {
  return finish(btf, draftsOf(btf, id, IN_MAPS), isKernelType);
}

/** Where a variable lies in its section; `id` is that of the variable. */
export interface PlacedVariable {
  readonly id: number | null;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** The same of a section of variables. */
export function fieldsOfSection(
  btf: Btf,
  variables: readonly PlacedVariable[],
  isKernelType: IsKernelType,
): readonly SpecialField[] {
  const search: Search = { btf, kinds: IN_MAPS, seen: new Set() };
  return finish(btf, sectionFields(search, variables), isKernelType);
}

/** Fields of an object of type `id`; null where the kernel keeps no record of the type. Throws FieldsError. */
export function fieldsOfObject(btf: Btf, id: number, isKernelType: IsKernelType): readonly SpecialField[] | null {
  const type = btf.typeById(id);
  if (type.kind !== "struct" && type.kind !== "union") return null;
  if (!type.members.some((member) => makesRecord(btf, member.type))) return null;
  const fields = finish(btf, draftsOf(btf, id, IN_OBJECTS), isKernelType);
  if (fields.length === 0) throw new FieldsError("EFAULT", `${type.name} has special fields that cannot be used`);
  return fields;
}

/**
 * Whether the kernel takes the BTF as it is: it looks at every struct that objects could be made of, and refuses all of it
 * where one cannot be. Kernel: btf_parse_struct_metas(), btf_check_and_fixup_fields().
 */
export function isLoadable(btf: Btf, isKernelType: IsKernelType): boolean {
  if (!hasSpecialTypes(btf)) return true;
  try {
    for (const kind of ["struct", "union"] as const) {
      for (const id of btf.idsOf(kind)) requireTargets(btf, fieldsOfObject(btf, id, isKernelType) ?? [], isKernelType);
    }
    return true;
  } catch (error) {
    if (error instanceof FieldsError) return false;
    throw error;
  }
}

const TAGS: ReadonlySet<string> = new Set(SPECIAL_FIELDS.flatMap((row) => row.tag ?? []));

function hasSpecialTypes(btf: Btf): boolean {
  for (const id of btf.idsOf("type_tag")) if (TAGS.has(btf.nameOf(id))) return true;
  return [...RECORDED].some((name) => btf.findOwnByName(name, "struct") !== null);
}

/** Structs whose members make a type one that the kernel keeps a record of. Kernel: alloc_obj_fields */
const RECORDED: ReadonlySet<string> = new Set(
  SPECIAL_FIELDS.flatMap((row) => (row.inObjects && row.struct !== null ? [row.struct] : [])),
);

function makesRecord(btf: Btf, id: number): boolean {
  const type = btf.typeById(id);
  if (type.kind === "struct") return RECORDED.has(type.name);
  try {
    return pointerDraft(btf, type, 0, IN_OBJECTS) !== null;
  } catch (error) {
    if (error instanceof FieldsError) return false;
    throw error;
  }
}

function draftsOf(btf: Btf, id: number, kinds: ReadonlySet<SpecialFieldKind>): Draft[] {
  const type = btf.typeById(id);
  // A number, an array: the kernel refuses to look for fields in it.
  if (type.kind !== "struct" && type.kind !== "union") return fail("EINVAL", "a value that is no struct");
  return structFields({ btf, kinds, seen: new Set() }, type, 0, MOST_FIELDS);
}

function finish(btf: Btf, drafts: readonly Draft[], isKernelType: IsKernelType): readonly SpecialField[] {
  let end = 0;
  const fields = drafts.map((draft) => {
    const { sizeBytes } = specialField(draft.kind);
    if (draft.offsetBytes < end) throw new FieldsError("EEXIST", "special fields overlap");
    end = draft.offsetBytes + sizeBytes;
    return complete(btf, draft, sizeBytes, isKernelType);
  });
  checkTogether(new Set(fields.map((field) => field.kind)));
  return [...fields].sort((a, b) => a.offsetBytes - b.offsetBytes);
}

/** Kernel: btf_find_struct_field(). */
function structFields(search: Search, type: Composite, level: number, room: number): Draft[] {
  const found: Draft[] = [];
  for (const [index, member] of type.members.entries()) {
    if (member.offsetBits % 8 !== 0) throw new FieldsError("EINVAL", `${member.name} begins inside a byte`);
    const place = { holder: type, index, offsetBytes: member.offsetBits / 8, level, expectedBytes: 0 };
    found.push(...memberFields(search, member.type, place, room - found.length));
  }
  return found;
}

/** Kernel: btf_find_datasec_var(). */
function sectionFields(search: Search, variables: readonly PlacedVariable[]): Draft[] {
  const found: Draft[] = [];
  for (const { id, offsetBytes, sizeBytes } of variables) {
    const variable = search.btf.typeById(id ?? 0);
    if (variable.kind !== "var") continue;
    const place = { holder: variable, index: -1, offsetBytes, level: 0, expectedBytes: sizeBytes };
    found.push(...memberFields(search, variable.type, place, MOST_FIELDS - found.length));
  }
  return found;
}

interface MemberPlace {
  /** struct or variable, which tags are on */
  readonly holder: BtfType;
  /** of the member; -1: a variable */
  readonly index: number;
  readonly offsetBytes: number;
  readonly level: number;
  /** what a section says that the variable takes; 0: nothing */
  readonly expectedBytes: number;
}

/** Kernel: btf_find_field_one(). */
function memberFields(search: Search, typeId: number, place: MemberPlace, room: number): Draft[] {
  const { btf } = search;
  let type = btf.typeById(typeId);
  let count = 1;
  for (let depth = 0; type.kind === "array"; depth++) {
    if (depth === MOST_DEPTH) throw new FieldsError("E2BIG", "arrays nest too deep");
    count *= type.length;
    type = btf.typeById(type.element);
  }
  if (count === 0) return [];
  const isStruct = type.kind === "struct" || type.kind === "union";
  const spec = kindOf(search, type);
  if (spec === null) {
    if (!isStruct || (place.expectedBytes !== 0 && place.expectedBytes !== (type as Composite).size * count)) return [];
    return nestedFields(search, type as Composite, place, count, room);
  }
  if (place.expectedBytes !== 0 && place.expectedBytes !== spec.sizeBytes * count) return [];
  if (place.offsetBytes % spec.alignBytes !== 0) return [];
  const draft = draftOf(search, spec, type, place);
  if (draft === null) return [];
  if (room === 0) throw new FieldsError("E2BIG", "too many special fields");
  return repeat([draft], count, spec.sizeBytes, room);
}

/** Kernel: btf_find_nested_struct(). */
function nestedFields(search: Search, type: Composite, place: MemberPlace, count: number, room: number): Draft[] {
  if (place.level + 1 >= MOST_DEPTH) throw new FieldsError("E2BIG", "structs nest too deep");
  const inside = structFields(search, type, place.level + 1, room).map((draft) => ({
    ...draft,
    offsetBytes: draft.offsetBytes + place.offsetBytes,
  }));
  return inside.length === 0 ? [] : repeat(inside, count, type.size, room);
}

/** Kernel: btf_repeat_fields(). */
function repeat(drafts: readonly Draft[], count: number, stepBytes: number, room: number): Draft[] {
  if (count > 1 && drafts.some((draft) => !specialField(draft.kind).repeatable)) {
    throw new FieldsError("EINVAL", "an array of what may be there once only");
  }
  if (drafts.length * count > room) throw new FieldsError("E2BIG", "too many special fields");
  return Array.from({ length: count }, (_, step) =>
    drafts.map((draft) => ({ ...draft, offsetBytes: draft.offsetBytes + step * stepBytes })),
  ).flat();
}

/** What the name of its type makes of a member; whatever else is no struct may be a pointer to keep. Kernel: btf_get_field_type(). */
function kindOf(search: Search, type: BtfType): SpecialFieldSpec | null {
  const named = SPECIAL_FIELDS.find(
    (row) => row.struct !== null && row.struct === type.name && search.kinds.has(row.kind),
  );
  if (named !== undefined) {
    if (named.unique && search.seen.has(named.kind)) throw new FieldsError("E2BIG", `a second ${named.shown}`);
    search.seen.add(named.kind);
    return named;
  }
  return type.kind === "struct" || type.kind === "union" ? null : specialField("kptr");
}

function draftOf(search: Search, spec: SpecialFieldSpec, type: BtfType, place: MemberPlace): Draft | null {
  const { btf, kinds } = search;
  const { offsetBytes } = place;
  if (spec.struct === null) return pointerDraft(btf, type, offsetBytes, kinds);
  if ((type.kind !== "struct" && type.kind !== "union") || type.size !== spec.sizeBytes) return null;
  if (spec.kind === "listHead" || spec.kind === "rbRoot") {
    return { kind: spec.kind, offsetBytes, ...contained(btf, place) };
  }
  return { kind: spec.kind, offsetBytes };
}

/** A pointer with one of the tags. Kernel: btf_find_kptr(). */
function pointerDraft(
  btf: Btf,
  type: BtfType,
  offsetBytes: number,
  kinds: ReadonlySet<SpecialFieldKind>,
): Draft | null {
  const pointer = type.kind === "volatile" ? btf.typeById(type.type) : type;
  if (pointer.kind !== "ptr") return null;
  const tagged = new Set<SpecialFieldKind>();
  let target = pointer.type;
  for (;;) {
    const modifier = btf.typeById(target);
    if (!isModifier(modifier)) break;
    const known = modifier.kind === "type_tag" && SPECIAL_FIELDS.find((row) => row.tag === modifier.name);
    if (known) tagged.add(known.kind);
    target = modifier.type;
  }
  if (tagged.size > 1) throw new FieldsError("EINVAL", "a pointer with two tags");
  const [kind] = tagged;
  if (kind === undefined || !kinds.has(kind)) return null;
  const { kind: targetKind } = btf.typeById(target);
  if (targetKind !== "struct" && targetKind !== "union") {
    throw new FieldsError("EINVAL", "a kept pointer to something other than a struct");
  }
  return { kind, offsetBytes, type: target };
}

/** `contains:node_type:member`, said of the head. Kernel: btf_find_graph_root(). */
function contained(btf: Btf, { holder, index }: MemberPlace): { readonly type: number; readonly node: string } {
  const texts: string[] = [];
  for (const id of btf.idsOf("decl_tag")) {
    const tag = btf.typeById(id);
    if (tag.kind !== "decl_tag" || tag.component !== index || !tag.name.startsWith(CONTAINS)) continue;
    if (btf.typeById(tag.type) === holder) texts.push(tag.name.slice(CONTAINS.length));
  }
  const [text] = texts;
  if (text === undefined || texts.length > 1 || !text.includes(":")) {
    throw new FieldsError("EINVAL", "a head or root that does not say what it contains");
  }
  const colon = text.indexOf(":");
  const type = btf.findOwnByName(text.slice(0, colon), "struct");
  if (type === null) throw new FieldsError("ENOENT", `there is no struct ${text.slice(0, colon)}`);
  const node = text.slice(colon + 1);
  if (node === "") throw new FieldsError("EINVAL", "a head or root that names no node");
  return { type, node };
}

function complete(btf: Btf, draft: Draft, sizeBytes: number, isKernelType: IsKernelType): SpecialField {
  const { kind, offsetBytes, type, node } = draft;
  const field = { kind, offsetBytes, sizeBytes };
  if (type === undefined) return field;
  if (node !== undefined) return { ...field, type, nodeOffset: nodeOffset(btf, type, node, kind) };
  const target = btf.typeById(type);
  const ofKernel = isKernelType(target.name, target.kind as "struct" | "union");
  // Kernel: btf_parse_kptr(), btf_find_dtor_kfunc().
  if (ofKernel && kind === "kptr" && !OWNED_KERNEL_TYPES.has(target.name)) {
    throw new FieldsError("ENOENT", `nothing gives back a kept ${target.name}`);
  }
  return { ...field, type, ofKernel };
}

/** Kernel: btf_parse_graph_root(). */
function nodeOffset(btf: Btf, id: number, name: string, kind: SpecialFieldKind): number {
  const struct = btf.typeById(id);
  const members = struct.kind === "struct" ? struct.members.filter((member) => member.name === name) : [];
  const [member] = members;
  if (member === undefined) throw new FieldsError("ENOENT", `${struct.name} has no member ${name}`);
  const wanted = specialField(kind === "listHead" ? "listNode" : "rbNode");
  const node = btf.typeById(member.type);
  const isNode = (node.kind === "struct" || node.kind === "union") && node.name === wanted.struct;
  if (members.length > 1 || !isNode || member.offsetBits % (8 * wanted.alignBytes) !== 0) {
    throw new FieldsError("EINVAL", `${name} of ${struct.name} is no ${wanted.shown}`);
  }
  return member.offsetBits / 8;
}

function checkTogether(kinds: ReadonlySet<SpecialFieldKind>): void {
  const isLocked = kinds.has("spinLock") || kinds.has("resSpinLock");
  if (kinds.has("spinLock") && kinds.has("resSpinLock")) fail("EINVAL", "two kinds of lock");
  if ((kinds.has("listHead") || kinds.has("rbRoot")) && !isLocked) fail("EINVAL", "a head or root without a lock");
  if (kinds.has("listNode") && kinds.has("rbNode") && !kinds.has("refcount")) {
    fail("EINVAL", "nodes of a list and of a tree without a bpf_refcount");
  }
}

const PAGE_BYTES = 4096;
const ROOTS: ReadonlySet<SpecialFieldKind> = new Set(["listHead", "rbRoot"]);
const NODES: ReadonlySet<SpecialFieldKind> = new Set(["listNode", "rbNode"]);

/** The fields, if what heads hold and user space may point to fits them; else throws FieldsError. Kernel: btf_check_and_fixup_fields(). */
export function requireTargets(
  btf: Btf,
  fields: readonly SpecialField[],
  isKernelType: IsKernelType,
): readonly SpecialField[] {
  for (const { kind, type, ofKernel } of fields) {
    if (kind === "uptr") {
      const size = btf.sizeOf(type!) ?? 0;
      if (ofKernel || size === 0) fail("EINVAL", "a uptr to a type of the kernel's");
      if (size > PAGE_BYTES) fail("E2BIG", "a uptr to more than a page");
    }
    if (!ROOTS.has(kind)) continue;
    const held = fieldsOfObject(btf, type!, isKernelType);
    if (held === null) return fail("EFAULT", "a head of what cannot be in a list");
    // Objects that can be held, and hold others that hold others, could hold each other.
    if (fields.some((field) => NODES.has(field.kind)) && held.some((field) => ROOTS.has(field.kind))) {
      fail("ELOOP", "objects that could own each other");
    }
  }
  return fields;
}

function fail(errno: ErrnoName, message: string): never {
  throw new FieldsError(errno, message);
}
