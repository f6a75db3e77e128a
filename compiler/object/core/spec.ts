/**
 * What a relocation accesses, as the program's BTF says it, and the same access in a type of the target. An access like
 * `0:1:2` names members by position; unnamed structs in between are steps of it but not of the accessors, which are what
 * must be found again in the target. Source: libbpf, bpf_core_parse_spec() and bpf_core_spec_match().
 */
import { ObjectError } from "../../../base/index.ts";
import { type Btf, isComposite } from "../btf/btf.ts";
import { essentialName } from "../btf/names.ts";
import type { BtfMember } from "../btf/types.ts";
import { areFieldsCompatible, areTypesCompatible } from "./compatible.ts";
import { type CoreKind, isFieldKind, isTypeKind } from "./kinds.ts";
import { doTypesMatch } from "./match-type.ts";
import type { Steps } from "./steps.ts";

/** BPF_CORE_SPEC_MAX_LEN */
const MOST_STEPS_OF_ACCESS = 64;

export interface Accessor {
  /** the struct, union or enum that has the member, or the type of the array's elements; behind modifiers */
  readonly type: number;
  /** of the member, enumerator or element */
  readonly index: number;
  /** null for an element */
  readonly name: string | null;
}

export interface Spec {
  readonly btf: Btf;
  /** with modifiers and typedefs */
  readonly root: number;
  /** none for relocations of types */
  readonly accessors: readonly Accessor[];
  readonly bitOffset: number;
}

export function parseSpec(btf: Btf, kind: CoreKind, type: number, access: string): Spec {
  const fail = (message: string): ObjectError =>
    new ObjectError("BTF_MALFORMED", `CO-RE access ${access || "without text"} of type ${type} ${message}`);
  if (isTypeKind(kind)) {
    if (access !== "0") throw fail("is for a type and not 0");
    return { btf, root: type, accessors: [], bitOffset: 0 };
  }
  if (!/^\d{1,9}(:\d{1,9})*$/.test(access)) throw fail("is not a list of numbers");
  const [first, ...rest] = access.split(":").map(Number) as [number, ...number[]];
  if (rest.length >= MOST_STEPS_OF_ACCESS) throw fail("is too long");
  let id = btf.skipModifiers(type);
  const root = btf.typeById(id);
  if (!isFieldKind(kind)) {
    const value = root.kind === "enum" || root.kind === "enum64" ? root.values[first] : undefined;
    if (value === undefined || rest.length > 0) throw fail("names no enumerator");
    return { btf, root: type, accessors: [{ type: id, index: first, name: value.name }], bitOffset: 0 };
  }
  const accessors: Accessor[] = [{ type: id, index: first, name: null }];
  let bitOffset = first * sizeOf(btf, id) * 8;
  for (const index of rest) {
    id = btf.skipModifiers(id);
    const at = btf.typeById(id);
    if (isComposite(at)) {
      const member = at.members[index];
      if (member === undefined) throw fail(`has no member ${index} in ${at.kind} ${at.name}`);
      bitOffset += member.offsetBits;
      if (member.name !== "") accessors.push({ type: id, index, name: member.name });
      id = member.type;
    } else if (at.kind === "array") {
      if (index >= at.length && !isFlexible(btf, accessors[accessors.length - 1]!, at.length))
        throw fail(`leaves an array of ${at.length}`);
      id = btf.skipModifiers(at.element);
      accessors.push({ type: id, index, name: null });
      bitOffset += index * sizeOf(btf, id) * 8;
    } else throw fail(`goes into a ${at.kind}`);
  }
  return { btf, root: type, accessors, bitOffset };
}

/** The same access in type `id` of the target, null where that has nothing of the kind. */
export function matchSpec(kind: CoreKind, local: Spec, target: Btf, id: number, steps: Steps): Spec | null {
  const found: Spec = { btf: target, root: id, accessors: [], bitOffset: 0 };
  if (isTypeKind(kind)) {
    const isMatch =
      kind === "typeMatches"
        ? doTypesMatch(local.btf, local.root, target, id, steps)
        : areTypesCompatible(local.btf, local.root, target, id, steps);
    return isMatch ? found : null;
  }
  return isFieldKind(kind) ? matchField(local, found, steps) : matchEnumerator(local, found, steps);
}

function matchEnumerator(local: Spec, found: Spec, steps: Steps): Spec | null {
  const id = found.btf.skipModifiers(found.root);
  const type = found.btf.typeById(id);
  if (type.kind !== "enum" && type.kind !== "enum64") return null;
  steps.take(type.values.length);
  const wanted = essentialName(local.accessors[0]!.name!);
  const index = type.values.findIndex(({ name }) => essentialName(name) === wanted);
  return index < 0 ? null : { ...found, accessors: [{ type: id, index, name: type.values[index]!.name }] };
}

function matchField(local: Spec, found: Spec, steps: Steps): Spec | null {
  const { btf } = found;
  const accessors: Accessor[] = [];
  let bitOffset = 0;
  let id = found.root;
  let length = 0;
  for (const [position, accessor] of local.accessors.entries()) {
    id = btf.skipModifiers(id);
    if (accessor.name !== null) {
      const member = findMember(btf, id, accessor.name, steps, new Set(), 0);
      if (member === null) return null;
      if (!areFieldsCompatible(local.btf, memberOf(local.btf, accessor).type, btf, member.member.type)) return null;
      accessors.push({ type: member.owner, index: member.index, name: accessor.name });
      bitOffset += member.bitOffset;
      length += member.depth;
      id = member.member.type;
    } else {
      // The first counts whole objects; the others go into an array.
      if (position > 0) {
        const array = btf.typeById(id);
        if (array.kind !== "array") return null;
        if (accessor.index >= array.length && !isFlexible(btf, accessors[position - 1]!, array.length)) return null;
        id = btf.skipModifiers(array.element);
      }
      accessors.push({ type: id, index: accessor.index, name: null });
      bitOffset += accessor.index * sizeOf(btf, id) * 8;
      length++;
    }
    if (length > MOST_STEPS_OF_ACCESS) throw new ObjectError("BTF_MALFORMED", `type ${found.root} nests too deep`);
  }
  return { ...found, accessors, bitOffset };
}

interface FoundMember {
  /** the struct or union that has it */
  readonly owner: number;
  readonly index: number;
  readonly member: BtfMember;
  /** in the struct that the search began with */
  readonly bitOffset: number;
  /** steps of the access, unnamed ones included */
  readonly depth: number;
}

/** The first member of that name, unnamed structs and unions searched on the way. `seen`: those that have none. */
function findMember(
  btf: Btf,
  id: number,
  name: string,
  steps: Steps,
  seen: Set<number>,
  depth: number,
): FoundMember | null {
  const owner = btf.skipModifiers(id);
  const type = btf.typeById(owner);
  if (!isComposite(type) || seen.has(owner)) return null;
  if (depth >= MOST_STEPS_OF_ACCESS) throw new ObjectError("BTF_MALFORMED", `type ${id} nests too deep`);
  seen.add(owner);
  for (const [index, member] of type.members.entries()) {
    steps.take();
    if (member.name === name) return { owner, index, member, bitOffset: member.offsetBits, depth: depth + 1 };
    if (member.name !== "") continue;
    const inner = findMember(btf, member.type, name, steps, seen, depth + 1);
    if (inner !== null) return { ...inner, bitOffset: inner.bitOffset + member.offsetBits };
  }
  return null;
}

/** The member that a named accessor stands for. */
export function memberOf(btf: Btf, accessor: Accessor): BtfMember {
  const type = btf.typeById(accessor.type);
  const member = isComposite(type) ? type.members[accessor.index] : undefined;
  if (member === undefined)
    throw new ObjectError("BTF_MALFORMED", `type ${accessor.type} has no member ${accessor.index}`);
  return member;
}

/** `T last[]` at the end of a struct has as many elements as one likes. */
function isFlexible(btf: Btf, holder: Accessor, length: number): boolean {
  if (holder.name === null || length > 0) return false;
  const type = btf.typeById(holder.type);
  return isComposite(type) && holder.index === type.members.length - 1;
}

export function sizeOf(btf: Btf, id: number): number {
  const size = btf.sizeOf(id);
  if (size === null) throw new ObjectError("BTF_MALFORMED", `type ${id} has no size`);
  return size;
}
