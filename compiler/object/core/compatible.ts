/**
 * Whether a type of the program and one of the target are compatible for relocations of types and for typed externs.
 * Names count only at the root, which the caller has matched. Source: libbpf, __bpf_core_types_are_compat().
 */
import { ObjectError } from "../../../base/index.ts";
import type { Btf } from "../btf/btf.ts";
import type { BtfKind } from "../btf/types.ts";

/** Pointers, arrays and return types that are followed, and prototypes inside prototypes. */
const DEPTH = 32;

/** Enums of either width are one kind. */
export const areKindsCompatible = (a: BtfKind, b: BtfKind): boolean => enumKind(a) === enumKind(b);
const enumKind = (kind: BtfKind): BtfKind => (kind === "enum64" ? "enum" : kind);

export function areTypesCompatible(local: Btf, localId: number, target: Btf, targetId: number, level = DEPTH): boolean {
  if (!areKindsCompatible(local.kindOf(localId), target.kindOf(targetId))) return false;
  let a = localId;
  let b = targetId;
  for (let depth = 0; depth < DEPTH; depth++) {
    const x = local.resolve(a);
    const y = target.resolve(b);
    if (!areKindsCompatible(x.kind, y.kind)) return false;
    switch (x.kind) {
      case "void":
      case "struct":
      case "union":
      case "enum":
      case "enum64":
      case "fwd":
        return true;
      case "int":
        // Bit-fields in the way of old compilers are not comparable.
        return y.kind === "int" && x.offsetBits === 0 && y.offsetBits === 0;
      case "ptr":
        if (y.kind !== "ptr") return false;
        a = x.type;
        b = y.type;
        break;
      case "array":
        if (y.kind !== "array") return false;
        a = x.element;
        b = y.element;
        break;
      case "func_proto": {
        if (y.kind !== "func_proto" || x.parameters.length !== y.parameters.length) return false;
        if (level <= 0 && x.parameters.length > 0) throw tooDeep(localId);
        for (const [index, parameter] of x.parameters.entries()) {
          const mine = local.skipModifiers(parameter.type);
          const theirs = target.skipModifiers(y.parameters[index]!.type);
          if (!areTypesCompatible(local, mine, target, theirs, level - 1)) return false;
        }
        a = local.skipModifiers(x.returns);
        b = target.skipModifiers(y.returns);
        break;
      }
      default:
        return false;
    }
  }
  throw tooDeep(localId);
}

const tooDeep = (id: number): ObjectError => new ObjectError("BTF_MALFORMED", `type ${id} nests too deep to compare`);
