/** The struct that a program's main function takes: where the program believes its ctx has what. */
import { BpfError } from "../../base/index.ts";
import type { CType } from "../../spec/index.ts";
import type { Btf } from "./btf/btf.ts";
import type { BtfExt } from "./btf/ext.ts";
import { essentialName } from "./btf/names.ts";

/**
 * With the offsets that the program's code has: where CO-RE relocated accesses to the struct, they are the target's.
 * Undefined where the function takes no pointer to a struct, or the types cannot tell.
 */
export function ctxType(btf: Btf | null, ext: BtfExt | null, target: Btf | null, program: string): CType | undefined {
  if (btf === null) return undefined;
  try {
    const id = ctxStruct(btf, program);
    if (id === null) return undefined;
    if (!isRelocated(btf, ext, id)) return btf.ctype(id);
    const there = target?.findByName(essentialName(btf.nameOf(id)), "struct") ?? null;
    return target === null || there === null ? undefined : target.ctype(there);
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

/** Id of the struct, null where there is none. */
function ctxStruct(btf: Btf, program: string): number | null {
  const id = btf.findByName(program, "func");
  const func = id === null ? null : btf.typeById(id);
  const prototype = func?.kind === "func" ? btf.typeById(func.type) : null;
  const parameter = prototype?.kind === "func_proto" ? prototype.parameters[0] : undefined;
  if (parameter === undefined) return null;
  const pointer = btf.resolve(parameter.type);
  if (pointer.kind !== "ptr") return null;
  const struct = btf.skipModifiers(pointer.type);
  return btf.kindOf(struct) === "struct" ? struct : null;
}

function isRelocated(btf: Btf, ext: BtfExt | null, struct: number): boolean {
  for (const relocations of ext?.relocations.values() ?? []) {
    if (relocations.some(({ type }) => type < btf.typeCount && btf.skipModifiers(type) === struct)) return true;
  }
  return false;
}
