/** Stores through pointers to kernel structs. Kernel: btf_struct_access() of bpf_verifier_ops and of struct_ops. */
import { PROGRAM_WRITES, type StructWrites } from "../../spec/struct-writes.ts";
import type { Btf } from "../object/btf/btf.ts";
import type { BtfMember } from "../object/btf/types.ts";
import type { TypeRef } from "./btf-match.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";

/** Null: this program only reads what is the kernel's. */
export const writesOf = (env: Env): StructWrites | null =>
  env.hook?.structOps?.writes ?? PROGRAM_WRITES[env.program.type] ?? null;

/** A store of `size` bytes at `off` of a kernel struct. */
export function checkStructWrite(
  env: Env,
  writes: StructWrites,
  { btf, type }: TypeRef,
  off: number,
  size: number,
): void {
  const { struct, wrapper, fields, otherwise } = writes;
  const name = btf.nameOf(type);
  if (name !== struct && name !== wrapper) reject(env, "EACCES", otherwise);
  if (fields === undefined) {
    const bytes = btf.sizeOf(btf.findByName(struct, "struct") ?? 0) ?? 0;
    if (off + size > bytes) reject(env, "EACCES", `write access at off ${off} with size ${size}`);
    return;
  }
  for (const { in: holder, path, part } of fields) {
    const place = placeOf(btf, holder, path);
    if (place === null || off < place.start || (off !== place.start && !(part && off < place.end))) continue;
    if (off + size <= place.end) return;
    const beyond = `beyond the member of ${struct} ended at ${place.end}`;
    reject(env, "EACCES", `write access at off ${off} with size ${size} ${beyond}`);
  }
  reject(env, "EACCES", `no write support to ${struct} at off ${off}`);
}

interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Bytes of a field, `icsk_ack.pending`, anonymous structs looked through; null where the struct has no such field. */
function placeOf(btf: Btf, struct: string, path: string): Extent | null {
  let type = btf.findByName(struct, "struct");
  let start = 0;
  for (const name of path.split(".")) {
    const found: Found | null = type === null ? null : findMember(btf, type, name);
    if (found === null) return null;
    start += found.bits / 8;
    type = found.member.type;
  }
  const bytes = btf.sizeOf(type!);
  return bytes === null ? null : { start, end: start + bytes };
}

interface Found {
  readonly member: BtfMember;
  readonly bits: number;
}

function findMember(btf: Btf, id: number, name: string): Found | null {
  const struct = btf.resolve(id);
  if (struct.kind !== "struct" && struct.kind !== "union") return null;
  for (const member of struct.members) {
    if (member.name === name) return { member, bits: member.offsetBits };
    const inside = member.name === "" ? findMember(btf, member.type, name) : null;
    if (inside !== null) return { member: inside.member, bits: member.offsetBits + inside.bits };
  }
  return null;
}
