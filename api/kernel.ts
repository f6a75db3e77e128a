/** Kernel objects by the target's BTF, for tests and sources: `kernel.task_struct({ pid: 42, comm: "sh" })`. */
import type { Btf } from "../compiler/index.ts";
import {
  type KernelObject,
  KernelObjects,
  type KernelTypes,
  type KernelValue,
  type Runtime,
} from "../runtime/index.ts";
import type { CType } from "../spec/index.ts";

/**
 * A function for every struct of the target, by its name: makes an instance of it in the runtime's memory with the members
 * that are given, the rest zeros. Throws UsageError for a struct that the target does not have.
 */
export interface Kernel {
  readonly [struct: string]: (values?: { readonly [member: string]: KernelValue | undefined }) => KernelObject;
}

/** Objects live until they are freed or the runtime is closed. */
export function kernelObjects(runtime: Runtime, target: { readonly targetBtf: Btf }): Kernel {
  const objects = new KernelObjects(runtime.world, typesOf(target.targetBtf));
  return new Proxy(Object.create(null) as Kernel, {
    get: (_, name) =>
      typeof name === "string"
        ? (values?: { readonly [member: string]: KernelValue | undefined }) => objects.make(name, values)
        : undefined,
  });
}

/** Types by the names that BTF gives them: `task_struct`, `struct task_struct`, `pid_t`, `char *`. */
const typesOf =
  (btf: Btf): KernelTypes =>
  (name) =>
    typeNamed(btf, name);

function typeNamed(btf: Btf, name: string): CType | null {
  const pointer = /^(.*?) ?\*$/.exec(name);
  if (pointer !== null) return { kind: "pointer", name, size: 8, target: pointer[1]! };
  const [, keyword, bare] = /^(?:(struct|union|enum) )?(.*)$/.exec(name)!;
  const kinds = keyword === undefined ? KINDS : [keyword as (typeof KINDS)[number]];
  for (const kind of kinds) {
    const id = btf.findByName(bare!, kind);
    if (id !== null) return btf.ctype(id);
  }
  return null;
}

const KINDS = ["struct", "union", "typedef", "int", "enum"] as const;
