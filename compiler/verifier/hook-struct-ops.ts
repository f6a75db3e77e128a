/** Structures of functions (struct_ops): the member that a program fills. Kernel: check_struct_ops_btf_id(). */

import { STRUCT_OPS_VALUE_PREFIX, type StructOpsSpec, structOpsByName } from "../../spec/struct-ops.ts";
import { prototypeOf } from "../object/btf/prototype.ts";
import type { AttachBtf } from "../program.ts";
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
