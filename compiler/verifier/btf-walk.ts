/**
 * What lies at some bytes of a kernel type: a number, a pointer to another type, or nothing that may be read. Unions and
 * flexible arrays included. Kernel: btf_struct_access(), btf_struct_walk().
 */

import type { ErrnoName } from "../../spec/errno.ts";
import type { Btf } from "../object/btf/btf.ts";
import type { BtfMember, BtfType } from "../object/btf/types.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";

/** What the kernel says of the memory that a pointer leads to (`__user`, `__percpu`, `__rcu`). */
export type PointerTag = "user" | "percpu" | "rcu";

/** A pointer to a struct in field `field`. */
export interface StructPointer {
  readonly kind: "struct pointer";
  readonly type: number;
  readonly field: string;
  /** another member may have been written */
  readonly viaUnion: boolean;
  readonly tag: PointerTag | null;
}
export type Found =
  | { readonly kind: "scalar" }
  | StructPointer
  /** a pointer to anything else */
  | { readonly kind: "other pointer" };

/** Bytes that are no access: what the kernel says of them. */
interface Refused {
  readonly kind: "refused";
  readonly errno: ErrnoName;
  readonly message: string;
}

/** Bytes [off, off + size) of a struct that lies in another. */
export interface Place {
  readonly kind: "inside";
  readonly type: number;
  readonly off: number;
  readonly size: number;
  readonly viaUnion: boolean;
  readonly options: WalkOptions;
}
interface WalkOptions {
  /** elements of an array without a length may be read */
  readonly flexibleArrays: boolean;
}

type Struct = BtfType & { readonly kind: "struct" | "union" };

/** As the kernel's messages name types without a name. */
const shownName = (name: string): string => (name === "" ? "(anon)" : name);

/** Looks at bytes [off, off + size) of type `id`; `off` is not negative. Rejects where they are no such access. */
export function walkStruct(
  env: Env,
  btf: Btf,
  id: number,
  off: number,
  size: number,
  options: WalkOptions = { flexibleArrays: true },
): Found {
  let place = placeIn(btf, id, off, size, options);
  for (;;) {
    const next = stepInto(btf, place);
    if (next.kind === "refused") return reject(env, next.errno, next.message);
    if (next.kind !== "inside") return next;
    place = next;
  }
}

export const placeIn = (btf: Btf, id: number, off: number, size: number, options: WalkOptions): Place => ({
  kind: "inside",
  type: btf.skipModifiers(id),
  off,
  size,
  viaUnion: false,
  options,
});

const refused = (errno: ErrnoName, message: string): Refused => ({ kind: "refused", errno, message });

/** One struct: what was found, or the struct inside that holds it. */
export function stepInto(btf: Btf, place: Place): Found | Place | Refused {
  const struct = btf.typeById(place.type);
  if (struct.kind !== "struct" && struct.kind !== "union") {
    return refused("EINVAL", `Type '${shownName(struct.name)}' is not a struct`);
  }
  const { off, size } = place;
  const viaUnion = place.viaUnion || (struct.kind === "union" && struct.members.length !== 1);
  if (off + size > struct.size) return beyond(btf, struct, { ...place, viaUnion });
  for (const member of struct.members) {
    const start = Math.floor(member.offsetBits / 8);
    if (off + size <= start) break;
    if (member.bitfieldBits > 0) {
      const end = Math.ceil((member.offsetBits + member.bitfieldBits) / 8);
      if (off <= start && end <= off + size) return { kind: "scalar" };
      continue;
    }
    if (off < start) break;
    const bytes = btf.sizeOf(member.type);
    if (bytes === null) return refused("EFAULT", `field ${shownName(member.name)} doesn't have size`);
    if (off >= start + bytes) continue;
    return inMember(btf, struct, member, { ...place, viaUnion }, bytes);
  }
  return refused("EINVAL", `struct ${shownName(struct.name)} doesn't have field at offset ${off}`);
}

/** Behind the end there may be a flexible array. */
function beyond(btf: Btf, struct: Struct, place: Place): Found | Place | Refused {
  const refuse = (): Refused =>
    refused("EACCES", `access beyond struct ${shownName(struct.name)} at off ${place.off} size ${place.size}`);
  const last = struct.members.at(-1);
  if (last === undefined || !place.options.flexibleArrays) return refuse();
  const array = btf.resolve(last.type);
  const start = Math.floor(last.offsetBits / 8);
  if (array.kind !== "array" || array.length !== 0 || place.off < start) return refuse();
  const element = btf.resolve(array.element);
  if (element.kind === "int") return { kind: "scalar" };
  if ((element.kind !== "struct" && element.kind !== "union") || element.size === 0) return refuse();
  return { ...place, type: btf.skipModifiers(array.element), off: (place.off - start) % element.size };
}

function inMember(
  btf: Btf,
  struct: Struct,
  member: BtfMember,
  place: Place,
  memberBytes: number,
): Found | Place | Refused {
  const { off, size, viaUnion } = place;
  const memberStart = Math.floor(member.offsetBits / 8);
  let id = btf.skipModifiers(member.type);
  let type = btf.typeById(id);
  let bytes = memberBytes;
  while (type.kind === "array") {
    id = btf.skipModifiers(type.element);
    bytes = btf.sizeOf(id) ?? 0;
    type = btf.typeById(id);
  }
  const start = memberStart + Math.floor((off - memberStart) / bytes) * bytes;
  if (type.kind === "struct" || type.kind === "union") return { ...place, type: id, off: off - start };
  if (type.kind === "ptr") {
    if (bytes !== size || off !== start) {
      const where = `with moff ${start} in struct ${shownName(struct.name)} with off ${off} size ${size}`;
      return refused("EACCES", `cannot access ptr member ${shownName(member.name)} ${where}`);
    }
    return pointerTo(btf, type.type, member.name, viaUnion);
  }
  if (off + size > memberStart + memberBytes && !viaUnion) {
    const end = `(mend:${memberStart + memberBytes})`;
    const where = `member ${shownName(member.name)} ${end} in struct ${shownName(struct.name)} with off ${off} size ${size}`;
    return refused("EACCES", `access beyond the end of ${where}`);
  }
  return { kind: "scalar" };
}

/** A pointer's target without what a C compiler says of it. */
function pointerTo(btf: Btf, id: number, field: string, viaUnion: boolean): Found {
  const target = btf.skipModifiers(id);
  const { kind } = btf.typeById(target);
  if (kind !== "struct" && kind !== "union") return { kind: "other pointer" };
  return { kind: "struct pointer", type: target, field, viaUnion, tag: pointerTag(btf, id) };
}

/** The tag on a pointer's target `id`; only the outermost counts. */
export function pointerTag(btf: Btf, id: number): PointerTag | null {
  const type = btf.typeById(id);
  if (type.kind !== "type_tag") return null;
  return type.name === "user" || type.name === "percpu" || type.name === "rcu" ? type.name : null;
}
