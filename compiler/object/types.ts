/** The structs and unions that records of an object can be read as: what the programs define, not what they mirror of the kernel. */
import { BpfError } from "../../base/index.ts";
import type { CType } from "../../spec/index.ts";
import type { Btf } from "./btf/btf.ts";
import type { BtfExt } from "./btf/ext.ts";

/**
 * By name; an anonymous one by its typedef's. Types that CO-RE relocates are the target's, laid out here as the compiler
 * saw them, and left out; so are types that cannot be shown as a tree.
 */
export function recordTypes(btf: Btf | null, ext: BtfExt | null): Readonly<Record<string, CType>> {
  const types: Record<string, CType> = Object.create(null);
  if (btf === null) return types;
  const mirrored = new Set<number>();
  for (const relocations of ext?.relocations.values() ?? []) {
    for (const { type } of relocations)
      if (type < btf.typeCount) mirrored.add(attempt(() => btf.skipModifiers(type)) ?? type);
  }
  for (let id = 1; id < btf.typeCount; id++) {
    const kind = btf.kindOf(id);
    if (kind !== "struct" && kind !== "union" && kind !== "typedef") continue;
    const name = btf.nameOf(id);
    if (name === "" || name in types) continue;
    const resolved = kind === "typedef" ? attempt(() => btf.skipModifiers(id)) : id;
    if (resolved === null || mirrored.has(resolved)) continue;
    if (kind === "typedef" && btf.nameOf(resolved) !== "") continue;
    const type = attempt(() => btf.ctype(id));
    if (type?.kind === "struct" || type?.kind === "union") types[name] = type;
  }
  return types;
}

/** Null where the type is malformed. */
function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof BpfError) return null;
    throw error;
  }
}
