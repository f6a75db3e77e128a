/** Prototypes of functions, by the type that leads to them. */
import type { Btf } from "./btf.ts";
import type { BtfType } from "./types.ts";

export type Prototype = BtfType & { readonly kind: "func_proto" };

/** Of a function, or of what a pointer points to; null where it is no such. Modifiers and typedefs are stepped over. */
export function prototypeOf(btf: Btf, id: number, kind: "func" | "ptr"): Prototype | null {
  const type = btf.resolve(id);
  const proto = type.kind === kind ? btf.resolve(type.type) : null;
  return proto?.kind === "func_proto" ? proto : null;
}
