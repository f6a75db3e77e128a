/**
 * What a parameter of a kernel function wants, as its type and the end of its name in BTF say. Kernel: the is_kfunc_arg_…
 * predicates, get_kfunc_ptr_arg_type().
 */
import type { Btf } from "../object/btf/btf.ts";
import type { BtfParameter, BtfType } from "../object/btf/types.ts";
import { kernelTypeOf } from "./btf-match.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import { hasFlag, type KernelFunction } from "./kernel-function.ts";
import { baseType, REG, type RegState } from "./register.ts";
import { isZero } from "./scalar.ts";

export type PointerKind =
  | "ctx"
  | "null"
  | "allocated"
  | "refcounted"
  | "dynptr"
  | "iterator"
  | "list head"
  | "list node"
  | "tree root"
  | "tree node"
  | "constant string"
  | "map"
  | "workqueue"
  | "task work"
  | "irq flag"
  | "resilient lock"
  | "btf"
  | "callback"
  | "memory"
  | "memory and size";

/** What the end of a parameter's name says. */
export type Suffix =
  | "__sz"
  | "__szk"
  | "__k"
  | "__ign"
  | "__prog"
  | "__map"
  | "__alloc"
  | "__uninit"
  | "__opt"
  | "__nullable"
  | "__refcounted_kptr"
  | "__str"
  | "__irq_flag"
  | "__iter";
export const hasSuffix = (parameter: BtfParameter | undefined, suffix: Suffix): boolean =>
  parameter?.name.endsWith(suffix) === true;

export const isScalarType = (type: BtfType): boolean =>
  type.kind === "int" || type.kind === "enum" || type.kind === "enum64";
export const isNullRegister = (reg: RegState): boolean => reg.type === REG.SCALAR && isZero(reg.value);

/** As the kernel's messages name kinds of types. Kernel: btf_type_str() */
export const kindText = (type: BtfType): string => (type.kind === "void" ? "UNKNOWN" : type.kind.toUpperCase());

/** Structs that make a parameter one of a kind of its own. Kernel: kf_arg_btf_ids */
const KIND_OF_STRUCT: Readonly<Record<string, PointerKind>> = {
  bpf_dynptr: "dynptr",
  bpf_list_head: "list head",
  bpf_list_node: "list node",
  bpf_rb_root: "tree root",
  bpf_rb_node: "tree node",
  bpf_wq: "workqueue",
  bpf_task_work: "task work",
  bpf_res_spin_lock: "resilient lock",
};

/** Rejects what no register can be passed for. `index` counts parameters from 0. */
export function pointerKind(env: Env, target: KernelFunction, index: number): PointerKind {
  const { btf, parameters } = target;
  const parameter = parameters[index]!;
  const reg = env.register(index + 1);
  const pointed = pointedType(btf, parameter);
  if (target.name === "bpf_cast_to_kern_ctx" || isContext(env, pointed)) return "ctx";
  if (hasSuffix(parameter, "__nullable") && isNullRegister(reg)) return "null";
  if (hasSuffix(parameter, "__alloc")) return "allocated";
  if (hasSuffix(parameter, "__refcounted_kptr")) return "refcounted";
  if (isIterator(target, index)) return "iterator";
  const special = pointed.kind === "struct" ? KIND_OF_STRUCT[pointed.name] : undefined;
  if (special !== undefined) return special;
  if (hasSuffix(parameter, "__str")) return "constant string";
  if (hasSuffix(parameter, "__map")) return "map";
  if (hasSuffix(parameter, "__irq_flag")) return "irq flag";
  if (baseType(reg.type) === REG.BTF || kernelTypeOf(env, reg) !== null) {
    if (isStruct(pointed)) return "btf";
    const what = `pointer type ${kindText(pointed)} ${pointed.name} is not supported`;
    reject(env, "EINVAL", `kernel function ${target.name} args#${index} ${what}`);
  }
  if (pointed.kind === "func_proto") return "callback";
  return memoryKind(env, target, index, pointed);
}

export const pointedType = (btf: Btf, { type }: BtfParameter): BtfType => {
  const pointer = btf.resolve(type);
  return btf.resolve(pointer.kind === "ptr" ? pointer.type : 0);
};

const isStruct = (type: BtfType): boolean => type.kind === "struct" || type.kind === "union";

/** Always the first of an iterator's own functions. */
const isIterator = (target: KernelFunction, index: number): boolean => {
  const isMethod = hasFlag(target, "iterNew") || hasFlag(target, "iterNext") || hasFlag(target, "iterDestroy");
  return isMethod ? index === 0 : hasSuffix(target.parameters[index], "__iter");
};

/** The kernel's own structs behind contexts: a parameter may name either. Kernel: btf_is_projection_of() */
const BEHIND: Readonly<Record<string, string>> = { __sk_buff: "sk_buff", xdp_md: "xdp_buff" };

/** Kernel: btf_is_prog_ctx_type(). */
function isContext(env: Env, pointed: BtfType): boolean {
  if (!isStruct(pointed) || env.hook !== null || pointed.name === "") return false;
  return pointed.name === env.ctx.name || pointed.name === BEHIND[env.ctx.name];
}

/** Memory of the type's own size, or as long as the next argument says. */
function memoryKind(env: Env, target: KernelFunction, index: number, pointed: BtfType): PointerKind {
  const { btf, parameters } = target;
  const next = parameters[index + 1];
  const isSized =
    next !== undefined &&
    isScalarType(btf.resolve(next.type)) &&
    env.register(index + 2).type === REG.SCALAR &&
    (hasSuffix(next, "__sz") || hasSuffix(next, "__szk"));
  if (!isScalarType(pointed) && !isScalarStruct(env, btf, pointed, 0) && !(isSized && pointed.kind === "void")) {
    const wanted = `${isSized ? "void, " : ""}scalar, or struct with scalar`;
    reject(env, "EINVAL", `arg#${index} pointer type ${kindText(pointed)} ${pointed.name} must point to ${wanted}`);
  }
  return isSized ? "memory and size" : "memory";
}

const MOST_NESTING = 3;

/** A struct of numbers, arrays of them and such structs. Kernel: __btf_type_is_scalar_struct() */
export function isScalarStruct(env: Env, btf: Btf, type: BtfType, depth: number): boolean {
  if (!isStruct(type) || (type.kind !== "struct" && type.kind !== "union")) return false;
  for (const member of type.members) {
    const inner = btf.resolve(member.type);
    if (isStruct(inner)) {
      if (depth >= MOST_NESTING) {
        env.log.line("max struct nesting depth exceeded");
        return false;
      }
      if (!isScalarStruct(env, btf, inner, depth + 1)) return false;
    } else if (inner.kind === "array") {
      if (inner.length === 0 || !isScalarType(btf.resolve(inner.element))) return false;
    } else if (!isScalarType(inner)) return false;
  }
  return true;
}
