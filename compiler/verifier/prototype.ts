/**
 * Parameters of global functions, from BTF: what a caller must pass, and what the function is verified with.
 * Kernel: btf_prepare_func_args(), in kernel/bpf/btf.c.
 */
import type { Btf } from "../object/btf/btf.ts";
import type { Env, Subprogram } from "./env.ts";
import { reject, unsupported } from "./failure.ts";

export type Parameter =
  | { readonly kind: "scalar" }
  | { readonly kind: "ctx" }
  | { readonly kind: "dynptr" }
  | { readonly kind: "memory"; readonly bytes: number; readonly mayBeNull: boolean };

const MOST_PARAMETERS = 5;

/** The parameters of a global function; null without BTF, where it can only be followed like a static one. */
export function parametersOf(env: Env, subprogram: Subprogram): readonly Parameter[] | null {
  const { btf } = env.program;
  const type = env.program.functions[subprogram.functionIndex]?.type;
  if (!btf || type === undefined || subprogram.linkage !== "global") return null;
  const func = btf.typeById(type);
  if (func.kind !== "func") return null;
  const proto = btf.typeById(func.type);
  if (proto.kind !== "func_proto") return null;
  const name = func.name;
  if (proto.parameters.length > MOST_PARAMETERS) {
    reject(
      env,
      "EINVAL",
      `Global function ${name}() with ${proto.parameters.length} > ${MOST_PARAMETERS} args. Buggy compiler.`,
    );
  }
  const result = btf.resolve(proto.returns);
  if (result.kind !== "int" && result.kind !== "enum" && result.kind !== "enum64") {
    reject(env, "EINVAL", `Global function ${name}() doesn't return scalar. Only those are supported.`);
  }
  const tags = tagsOf(btf, type);
  return proto.parameters.map((parameter, index) => readParameter(env, btf, name, index, parameter.type, tags[index]));
}

/** By parameter: its `arg:` tags without that prefix. */
function tagsOf(btf: Btf, func: number): string[][] {
  const tags: string[][] = [];
  for (const id of btf.idsOf("decl_tag")) {
    const tag = btf.typeById(id);
    if (tag.kind !== "decl_tag" || tag.type !== func || tag.component < 0 || !tag.name.startsWith("arg:")) continue;
    tags[tag.component] = [...(tags[tag.component] ?? []), tag.name.slice(4)];
  }
  return tags;
}

function readParameter(
  env: Env,
  btf: Btf,
  name: string,
  index: number,
  id: number,
  tags: readonly string[] = [],
): Parameter {
  const type = btf.resolve(id);
  if (type.kind === "int" || type.kind === "enum" || type.kind === "enum64") {
    if (tags.length > 0) reject(env, "EINVAL", `arg#${index} has pointer tag, but is not a pointer type`);
    return { kind: "scalar" };
  }
  if (type.kind !== "ptr") {
    reject(env, "EINVAL", `Arg#${index} type ${type.kind.toUpperCase()} in ${name}() is not supported yet.`);
  }
  const target = btf.resolve(type.type);
  if (tags.includes("ctx") || (target.kind === "struct" && target.name === env.ctx.name)) return { kind: "ctx" };
  // The kernel takes pointers to whole numbers for the context there.
  if (env.hook !== null && target.kind === "int") unsupported("pointers to numbers as arguments of global functions");
  if (target.name === "bpf_dynptr" && (target.kind === "struct" || target.kind === "fwd")) {
    if (tags.length > 0) reject(env, "EINVAL", `arg#${index} has invalid combination of tags`);
    return { kind: "dynptr" };
  }
  const other = tags.find((tag) => tag !== "nonnull");
  if (other !== undefined) unsupported(`arguments tagged ${other}`);
  const bytes = btf.sizeOf(btf.skipModifiers(type.type));
  if (bytes === null) {
    const kind = target.kind === "void" ? "UNKNOWN" : target.kind.toUpperCase();
    reject(env, "EINVAL", `arg#${index} reference type('${kind} ${target.name}') size cannot be determined: -22`);
  }
  return { kind: "memory", bytes, mayBeNull: !tags.includes("nonnull") };
}
