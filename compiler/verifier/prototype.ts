/**
 * Parameters of global functions, from BTF: what a caller must pass, and what the function is verified with.
 * Kernel: btf_prepare_func_args(), in kernel/bpf/btf.c.
 */
import { type Btf, isComposite } from "../object/btf/btf.ts";
import { essentialName } from "../object/btf/names.ts";
import type { BtfType } from "../object/btf/types.ts";
import type { TypeRef } from "./btf-match.ts";
import { isContext, requireContext } from "./context-type.ts";
import type { Env, Subprogram } from "./env.ts";
import { reject, unsupported } from "./failure.ts";

export type Parameter =
  | { readonly kind: "scalar" }
  | { readonly kind: "ctx" }
  | { readonly kind: "dynptr" }
  | { readonly kind: "memory"; readonly bytes: number; readonly mayBeNull: boolean }
  /** a pointer to a struct of the kernel that is alive */
  | ({ readonly kind: "trusted"; readonly mayBeNull: boolean } & TypeRef)
  /** any value, read with care: as the struct of the kernel, or as plain memory */
  | { readonly kind: "untrusted"; readonly at: TypeRef | null }
  | { readonly kind: "arena" };

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

const TAGS: ReadonlySet<string> = new Set(["ctx", "trusted", "untrusted", "nonnull", "nullable", "arena"]);

function readParameter(
  env: Env,
  btf: Btf,
  name: string,
  index: number,
  id: number,
  tags: readonly string[] = [],
): Parameter {
  const refuse = (message: string): never => reject(env, "EINVAL", `arg#${index} ${message}`);
  if (tags.some((tag) => !TAGS.has(tag))) {
    reject(env, "EOPNOTSUPP", `arg#${index} has unsupported set of tags`);
  }
  const type = btf.resolve(id);
  if (type.kind !== "ptr") {
    if (tags.length > 0) refuse("has pointer tag, but is not a pointer type");
    if (type.kind === "int" || type.kind === "enum" || type.kind === "enum64") return { kind: "scalar" };
    return reject(env, "EINVAL", `Arg#${index} type ${type.kind.toUpperCase()} in ${name}() is not supported yet.`);
  }
  const isAlone = tags.every((tag) => tag === tags[0]);
  const target = btf.resolve(type.type);
  if (tags.includes("ctx") || isContext(env, btf, type.type)) {
    if (tags.some((tag) => tag !== "ctx")) refuse("has invalid combination of tags");
    if (tags.length > 0) requireContext(env, btf, type.type, index);
    return { kind: "ctx" };
  }
  if (target.name === "bpf_dynptr" && (target.kind === "struct" || target.kind === "fwd")) {
    if (tags.length > 0) refuse("has invalid combination of tags");
    return { kind: "dynptr" };
  }
  if (tags.includes("trusted")) {
    if (tags.includes("nonnull")) refuse("has invalid combination of tags");
    return { kind: "trusted", ...kernelTypeLike(env, btf, type.type, index), mayBeNull: tags.includes("nullable") };
  }
  if (tags.includes("untrusted")) {
    if (!isAlone) refuse("untrusted cannot be combined with any other tags");
    return readUntrusted(env, btf, type.type, index);
  }
  if (tags.includes("arena")) {
    if (!isAlone) refuse("arena cannot be combined with any other tags");
    return { kind: "arena" };
  }
  if (tags.includes("nullable")) refuse("has invalid combination of tags");
  const bytes = btf.sizeOf(btf.skipModifiers(type.type));
  if (bytes === null) {
    return refuse(`reference type('${kindName(target)} ${target.name}') size cannot be determined: -22`);
  }
  return { kind: "memory", bytes, mayBeNull: !tags.includes("nonnull") };
}

/** As the kernel's messages name kinds of types. */
const kindName = ({ kind }: BtfType): string => (kind === "void" ? "UNKNOWN" : kind.toUpperCase());

/** Kernel: btf_type_is_primitive() */
function isPrimitive(type: BtfType): boolean {
  if (type.kind === "enum" || type.kind === "enum64") return true;
  if (type.kind !== "int" || type.offsetBits > 0 || type.bits !== 8 * type.size) return false;
  return [1, 2, 4, 8, 16].includes(type.size);
}

/** Memory that is read with care: numbers of any length, or a struct of the kernel. */
function readUntrusted(env: Env, btf: Btf, pointed: number, index: number): Parameter {
  const target = btf.resolve(pointed);
  if (target.kind === "void" || isPrimitive(target)) return { kind: "untrusted", at: null };
  const at = kernelTypeLike(env, btf, pointed, index);
  if (isComposite(target)) return { kind: "untrusted", at };
  const what = `${kindName(target)} '${target.name}'`;
  return reject(env, "EINVAL", `arg#${index} has type ${what}, but only struct or primitive types are allowed`);
}

/** The kernel's type of the same name and kind. Kernel: btf_get_ptr_to_btf_id() */
function kernelTypeLike(env: Env, btf: Btf, pointed: number, index: number): TypeRef {
  const kernel = env.program.targetBtf ?? unsupported("arguments with kernel types without a kernel's BTF");
  const target = btf.resolve(pointed);
  const who = `arg#${index} reference type('${kindName(target)} ${target.name || "(anon)"}')`;
  if (target.name === "") reject(env, "EINVAL", `${who} candidate matching error: -22`);
  const name = essentialName(target.name);
  const found = [...kernel.ownCandidates(name)].filter(
    (id) => kernel.kindOf(id) === target.kind && kernel.nameOf(id) === name,
  );
  if (found.length === 1) return { btf: kernel, type: found[0]! };
  if (found.length > 1) return reject(env, "ESRCH", `${who} is ambiguous`);
  return reject(env, "ENOENT", `${who} has no matches`);
}
