/** What all kinds of hooks have: a function, or a pointer to one, whose arguments the program is given. Kernel: btf_distill_func_proto(). */
import { LIMITS } from "../../spec/limits.ts";
import type { StructOpsSpec } from "../../spec/struct-ops.ts";
import type { Btf } from "../object/btf/btf.ts";
import { type Prototype, prototypeOf } from "../object/btf/prototype.ts";
import type { BtfParameter } from "../object/btf/types.ts";
import type { AttachBtf } from "../program.ts";
import type { Env } from "./env.ts";
import { reject } from "./failure.ts";
import type { ReturnRange } from "./state.ts";

export interface Hook {
  readonly kind: "tracepoint" | "iterator" | "function" | "lsm" | "member";
  /** BTF that its types count in */
  readonly btf: Btf;
  /** `sched_switch`, `vfs_read`, `ssthresh` */
  readonly name: string;
  readonly parameters: readonly BtfParameter[];
  /** id of the type; 0: void */
  readonly returns: number;
  /** pointers among the arguments are alive for sure */
  readonly isTrusted: boolean;
  /** by argument, from 0: type of register of what is known beyond BTF */
  readonly known: ReadonlyMap<number, number>;
  /** what the function returned stands behind the arguments; a range where the kernel knows one */
  readonly result?: { readonly range: ReturnRange | null };
  /** what the program may return, in 32 bits; null: anything; absent: as its type says */
  readonly mayReturn?: ReturnRange | null;
  readonly structOps?: StructOpsSpec;
}

export function requireFunction(env: Env, { btf, id }: AttachBtf): Prototype {
  return prototypeOf(btf, id, "func") ?? reject(env, "EINVAL", `attach_btf_id ${id} is not a function`);
}

/** Largest argument that a trampoline hands on, in bytes. */
const LARGEST_ARGUMENT = 16;

/** Whether a trampoline can be made for such a function. Kernel: btf_distill_func_proto() */
export function requireCallable(env: Env, { btf, id, name }: AttachBtf): void {
  const { parameters, returns } = requireFunction(env, { btf, id, name, module: null });
  if (parameters.length > LIMITS.functionArguments) {
    reject(env, "EINVAL", `The function ${name} has ${parameters.length} arguments. Too many.`);
  }
  const result = btf.resolve(returns);
  if (result.kind === "struct" || sizeOfValue(btf, returns) === null) {
    reject(env, "EINVAL", `The function ${name} return type ${result.kind.toUpperCase()} is unsupported.`);
  }
  for (const [index, { type }] of parameters.entries()) {
    if (index === parameters.length - 1 && type === 0) {
      reject(env, "EINVAL", `The function ${name} with variable args is unsupported.`);
    }
    const bytes = sizeOfValue(btf, type);
    if (bytes === null || bytes > LARGEST_ARGUMENT) {
      const kind = btf.resolve(type).kind.toUpperCase();
      reject(env, "EINVAL", `The function ${name} arg${index} type ${kind} is unsupported.`);
    }
    if (bytes === 0) reject(env, "EINVAL", `The function ${name} has malformed void argument.`);
  }
}

/** Bytes of a number, a pointer or a struct; null for other types. Kernel: __get_type_size() */
function sizeOfValue(btf: Btf, id: number): number | null {
  const type = btf.resolve(id);
  switch (type.kind) {
    case "void":
      return 0;
    case "ptr":
    case "int":
    case "enum":
    case "enum64":
    case "struct":
    case "union":
      return btf.sizeOf(id);
    default:
      return null;
  }
}
