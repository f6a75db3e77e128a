/** Why an instruction was poisoned, in words: which field, type or enumerator the target lacks. */
import type { MissingRelocation } from "../../program.ts";
import { essentialName } from "../btf/names.ts";
import { type CoreKind, isFieldKind, isTypeKind } from "./kinds.ts";
import type { Spec } from "./spec.ts";

/** `local` is the access as the program was compiled for it; `hasType`: the target has types of the name. */
export function describeMissing(kind: CoreKind, local: Spec, hasType: boolean): MissingRelocation {
  const type = typeName(local);
  if (!hasType) return { kind, type, member: memberOf(kind, local), text: `the target has no ${type}` };
  const member = memberOf(kind, local);
  if (member === null) return { kind, type, member, text: `the target has no ${type} that fits` };
  const what = isFieldKind(kind) ? "fitting field" : "enumerator";
  return { kind, type, member, text: `${type} of the target has no ${what} ${member}` };
}

/** Path of the field, or the enumerator; null where the access is to the type itself. */
function memberOf(kind: CoreKind, local: Spec): string | null {
  if (isTypeKind(kind)) return null;
  return (isFieldKind(kind) ? pathOf(local) : essentialName(local.accessors[0]!.name!)) || null;
}

/** `struct task_struct`, without the flavour */
function typeName({ btf, root }: Spec): string {
  const type = btf.typeById(root);
  const name = essentialName(type.name) || "(anonymous)";
  switch (type.kind) {
    case "struct":
    case "union":
      return `${type.kind} ${name}`;
    case "enum":
    case "enum64":
      return `enum ${name}`;
    default:
      return name;
  }
}

/** `state`, `sk.sk_family`, `comm[3]` */
function pathOf({ accessors }: Spec): string {
  let path = "";
  for (const [position, { name, index }] of accessors.entries()) {
    if (name !== null) path += `${path === "" ? "" : "."}${essentialName(name)}`;
    // The first counts whole objects.
    else if (position > 0) path += `[${index}]`;
  }
  return path;
}
