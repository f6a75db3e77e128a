/**
 * Structures of functions (struct_ops): the member that a program fills, and what it may write through the pointers that it
 * is given. Kernel: check_struct_ops_btf_id(), btf_struct_access() of each structure's bpf_verifier_ops.
 */

import { STRUCT_OPS_VALUE_PREFIX, type StructOpsSpec, structOpsByName } from "../../spec/struct-ops.ts";
import type { Btf } from "../object/btf/btf.ts";
import { prototypeOf } from "../object/btf/prototype.ts";
import type { BtfMember } from "../object/btf/types.ts";
import type { AttachBtf } from "../program.ts";
import type { TypeRef } from "./btf-match.ts";
import type { Env } from "./env.ts";
import { Rejection, reject, unsupported } from "./failure.ts";
import type { Hook } from "./hook-prototype.ts";
import { isGpl } from "./license.ts";
import { FLAG, REG } from "./register.ts";

export function requireMember(env: Env): Hook {
  const { program } = env;
  if (!isGpl(program)) reject(env, "EINVAL", "struct ops programs must have a GPL compatible license");
  const target = program.attachBtf;
  if (!program.targetBtf) unsupported("structures of functions without a kernel's BTF");
  // The kernel says nothing here.
  if (target === undefined) throw new Rejection("ENOTSUPP", "a program of a structure says which member it fills");
  const spec = requireStructure(env, target);
  const { btf } = target;
  const struct = btf.typeById(target.id);
  const members = struct.kind === "struct" ? struct.members : [];
  const index = target.member ?? 0;
  const member = members[index];
  if (member === undefined)
    return reject(env, "EINVAL", `attach to invalid member idx ${index} of struct ${spec.name}`);
  const { name } = member;
  const proto = prototypeOf(btf, member.type, "ptr");
  if (proto === null) {
    return reject(env, "EINVAL", `attach to invalid member ${name}(@idx ${index}) of struct ${spec.name}`);
  }
  const unsupportedMember = `attach to unsupported member ${name} of struct ${spec.name}`;
  if (spec.unsupportedMembers.includes(name)) reject(env, "ENOTSUPP", unsupportedMember);
  const maySleep = spec.sleepable === "all" || spec.sleepable.includes(name);
  if (program.sleepable && !maySleep) reject(env, "EINVAL", unsupportedMember);
  const orNull = REG.BTF | FLAG.TRUSTED | FLAG.MAYBE_NULL;
  return {
    kind: "member",
    btf,
    name,
    parameters: proto.parameters,
    returns: proto.returns,
    isTrusted: true,
    known: new Map((spec.maybeNull[name] ?? []).map((argument) => [argument, orNull])),
    mayReturn: null,
    structOps: spec,
  };
}

function requireStructure(env: Env, { btf, id, name }: AttachBtf): StructOpsSpec {
  const spec = structOpsByName(name);
  if (spec !== undefined) return spec;
  if (btf.findByName(STRUCT_OPS_VALUE_PREFIX + name, "struct") !== null)
    return unsupported(`programs of struct ${name}`);
  return reject(env, "ENOTSUPP", `attach_btf_id ${id} is not a supported struct`);
}

/** A store of `size` bytes at `off` of a kernel struct, by a program of such a structure. */
export function checkStructWrite(
  env: Env,
  spec: StructOpsSpec,
  { btf, type }: TypeRef,
  off: number,
  size: number,
): void {
  const { struct, fields, otherwise } = spec.writes;
  if (btf.nameOf(type) !== struct) reject(env, "EACCES", otherwise);
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
