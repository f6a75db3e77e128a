/**
 * Whether a type of the program and one of the target are compatible: as the field of a relocation, or as the type of a
 * relocation or extern itself. Names of types count little here; the caller has matched those of the roots.
 * Source: libbpf, bpf_core_fields_are_compat() and __bpf_core_types_are_compat().
 */
import { ObjectError } from "../../../base/index.ts";
import { type Btf, isComposite } from "../btf/btf.ts";
import { essentialName } from "../btf/names.ts";
import type { BtfKind } from "../btf/types.ts";
import type { Steps } from "./steps.ts";

/** Pointers, arrays and return types that are followed, and prototypes inside prototypes. */
const DEPTH = 32;

/** Enums of either width are one kind. */
export const areKindsCompatible = (a: BtfKind, b: BtfKind): boolean => enumKind(a) === enumKind(b);
const enumKind = (kind: BtfKind): BtfKind => (kind === "enum64" ? "enum" : kind);

/** Any struct goes with any union; integers of all sizes go together; arrays as their elements. */
export function areFieldsCompatible(local: Btf, localId: number, target: Btf, targetId: number): boolean {
  let a = localId;
  let b = targetId;
  for (let depth = 0; depth <= DEPTH; depth++) {
    const x = local.resolve(a);
    const y = target.resolve(b);
    if (isComposite(x) && isComposite(y)) return true;
    if (!areKindsCompatible(x.kind, y.kind)) return false;
    switch (x.kind) {
      case "ptr":
      case "float":
        return true;
      case "fwd":
      case "enum":
      case "enum64":
        return x.name === "" || y.name === "" || essentialName(x.name) === essentialName(y.name);
      case "int":
        // Bit-fields in the way of old compilers are not comparable.
        return y.kind === "int" && x.offsetBits === 0 && y.offsetBits === 0;
      case "array":
        if (y.kind !== "array") return false;
        a = x.element;
        b = y.element;
        break;
      default:
        return false;
    }
  }
  throw tooDeep(localId);
}

/** Structs go with structs, prototypes with prototypes of as many compatible parameters; sizes do not count. */
export function areTypesCompatible(
  local: Btf,
  localId: number,
  target: Btf,
  targetId: number,
  steps: Steps,
  level = DEPTH,
): boolean {
  if (!areKindsCompatible(local.kindOf(localId), target.kindOf(targetId))) return false;
  let a = localId;
  let b = targetId;
  for (let depth = 0; depth < DEPTH; depth++) {
    steps.take();
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
          if (!areTypesCompatible(local, mine, target, theirs, steps, level - 1)) return false;
        }
        a = x.returns;
        b = y.returns;
        break;
      }
      default:
        return false;
    }
  }
  throw tooDeep(localId);
}

export const tooDeep = (id: number): ObjectError =>
  new ObjectError("BTF_MALFORMED", `type ${id} nests too deep to be compared`);
