/** Why an instruction was poisoned, in words: which field, type or enumerator the target lacks. */
import type { MissingRelocation } from "../../program.ts";
import { essentialName } from "../btf/names.ts";
import { type CoreKind, isFieldKind, isTypeKind } from "./kinds.ts";
import type { Spec } from "./spec.ts";

/** `local` is the access as the program was compiled for it. */
export function describeMissing(kind: CoreKind, local: Spec): MissingRelocation {
  const type = typeName(local);
  if (isTypeKind(kind)) return { kind, type, member: null, text: `the target has no ${type} that fits` };
  if (!isFieldKind(kind)) {
    const member = essentialName(local.accessors[0]!.name!);
    return { kind, type, member, text: `${type} of the target has no enumerator ${member}` };
  }
  const member = pathOf(local);
  const what =
    member === "" ? `the target has no ${type} that fits` : `${type} of the target has no fitting field ${member}`;
  return { kind, type, member: member === "" ? null : member, text: what };
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
