/**
 * What lies at some bytes of a kernel type: a number, a pointer to another type, or nothing that may be read. Unions and
 * flexible arrays included. Kernel: btf_struct_access(), btf_struct_walk().
 */
import type { Btf } from "../object/btf/btf.ts";
import type { BtfMember, BtfType } from "../object/btf/types.ts";
import type { Env } from "./env.ts";
import { reject, unsupported } from "./failure.ts";

export type Found =
  | { readonly kind: "scalar" }
  /** a pointer to a struct; `field`: its name; `viaUnion`: another member may have been written */
  | { readonly kind: "struct pointer"; readonly type: number; readonly field: string; readonly viaUnion: boolean }
  /** a pointer to anything else */
  | { readonly kind: "other pointer" };

interface Place {
  readonly type: number;
  readonly off: number;
  readonly size: number;
  readonly viaUnion: boolean;
}

type Struct = BtfType & { readonly kind: "struct" | "union" };

/** As the kernel's messages name types without a name. */
export const shownName = (name: string): string => (name === "" ? "(anon)" : name);

/** Looks at bytes [off, off + size) of type `id`; `off` is not negative. Rejects where they are no such access. */
export function walkStruct(env: Env, btf: Btf, id: number, off: number, size: number): Found {
  let place: Place = { type: btf.skipModifiers(id), off, size, viaUnion: false };
  for (;;) {
    const next = step(env, btf, place);
    if ("kind" in next) return next;
    place = next;
  }
}

/** One struct: what was found, or the struct inside that holds it. */
function step(env: Env, btf: Btf, place: Place): Found | Place {
  const struct = btf.typeById(place.type);
  if (struct.kind !== "struct" && struct.kind !== "union") {
    return reject(env, "EINVAL", `Type '${shownName(struct.name)}' is not a struct`);
  }
  const { off, size } = place;
  const viaUnion = place.viaUnion || (struct.kind === "union" && struct.members.length !== 1);
  if (off + size > struct.size) return beyond(env, btf, struct, { ...place, viaUnion });
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
    if (bytes === null) return reject(env, "EFAULT", `field ${shownName(member.name)} doesn't have size`);
    if (off >= start + bytes) continue;
    return inMember(env, btf, struct, member, { ...place, viaUnion }, bytes);
  }
  return reject(env, "EINVAL", `struct ${shownName(struct.name)} doesn't have field at offset ${off}`);
}

/** Behind the end there may be a flexible array. */
function beyond(env: Env, btf: Btf, struct: Struct, place: Place): Found | Place {
  const refuse = (): never =>
    reject(env, "EACCES", `access beyond struct ${shownName(struct.name)} at off ${place.off} size ${place.size}`);
  const last = struct.members.at(-1);
  if (last === undefined) return refuse();
  const array = btf.resolve(last.type);
  const start = Math.floor(last.offsetBits / 8);
  if (array.kind !== "array" || array.length !== 0 || place.off < start) return refuse();
  const element = btf.resolve(array.element);
  if (element.kind === "int") return { kind: "scalar" };
  if ((element.kind !== "struct" && element.kind !== "union") || element.size === 0) return refuse();
  return { ...place, type: btf.skipModifiers(array.element), off: (place.off - start) % element.size };
}

function inMember(
  env: Env,
  btf: Btf,
  struct: Struct,
  member: BtfMember,
  place: Place,
  memberBytes: number,
): Found | Place {
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
  if (bytes === 0) return unsupported("arrays of empty elements in kernel types");
  const start = memberStart + Math.floor((off - memberStart) / bytes) * bytes;
  if (type.kind === "struct" || type.kind === "union") return { type: id, off: off - start, size, viaUnion };
  if (type.kind === "ptr") {
    if (bytes !== size || off !== start) {
      const where = `with moff ${start} in struct ${shownName(struct.name)} with off ${off} size ${size}`;
      return reject(env, "EACCES", `cannot access ptr member ${shownName(member.name)} ${where}`);
    }
    return pointerTo(btf, type.type, member.name, viaUnion);
  }
  if (off + size > memberStart + memberBytes && !viaUnion) {
    const end = `(mend:${memberStart + memberBytes})`;
    const where = `member ${shownName(member.name)} ${end} in struct ${shownName(struct.name)} with off ${off} size ${size}`;
    return reject(env, "EACCES", `access beyond the end of ${where}`);
  }
  return { kind: "scalar" };
}

/** A pointer's target without what a C compiler says of it; tags say which memory it is in. */
function pointerTo(btf: Btf, id: number, field: string, viaUnion: boolean): Found {
  if (isTagged(btf, id)) unsupported(`pointers that are tagged (field ${field})`);
  const target = btf.resolve(id);
  if (target.kind !== "struct" && target.kind !== "union") return { kind: "other pointer" };
  return { kind: "struct pointer", type: btf.skipModifiers(id), field, viaUnion };
}

/** Whether a type tag (user, percpu, rcu, …) is among the modifiers. */
export function isTagged(btf: Btf, id: number): boolean {
  for (let at = id; ; ) {
    const type = btf.typeById(at);
    if (type.kind === "type_tag") return true;
    if (type.kind !== "const" && type.kind !== "volatile" && type.kind !== "typedef" && type.kind !== "restrict") {
      return false;
    }
    at = type.type;
  }
}
