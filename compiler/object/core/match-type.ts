/**
 * Whether a type of the target has all that the program's type says of it (bpf_core_type_matches): the same kinds, sizes of
 * integers, lengths of arrays, and every member and enumerator of the program's type by name. Behind a pointer only names
 * and kinds of structs count. Source: libbpf, __bpf_core_types_match().
 */
import { type Btf, isComposite } from "../btf/btf.ts";
import { essentialName } from "../btf/names.ts";
import type { BtfType } from "../btf/types.ts";
import { tooDeep } from "./compatible.ts";
import type { Steps } from "./steps.ts";

const DEPTH = 32;

export function doTypesMatch(local: Btf, localId: number, target: Btf, targetId: number, steps: Steps): boolean {
  return new Match(local, target, steps).types(localId, targetId, false, DEPTH);
}

class Match {
  readonly #local: Btf;
  readonly #target: Btf;
  readonly #steps: Steps;

  constructor(local: Btf, target: Btf, steps: Steps) {
    this.#local = local;
    this.#target = target;
    this.#steps = steps;
  }

  types(localId: number, targetId: number, isBehindPointer: boolean, level: number): boolean {
    if (level <= 0) throw tooDeep(localId);
    let a = localId;
    let b = targetId;
    let behindPointer = isBehindPointer;
    for (let depth = 0; depth < DEPTH; depth++) {
      this.#steps.take();
      const x = this.#local.resolve(a);
      const y = this.#target.resolve(b);
      if (!doNamesMatch(x.name, y.name)) return false;
      switch (x.kind) {
        case "void":
          return y.kind === "void";
        case "fwd":
          if (y.kind === "fwd") return x.union === y.union;
          return behindPointer && isComposite(y) && x.union === (y.kind === "union");
        case "enum":
        case "enum64":
          return this.#enums(x, y);
        case "struct":
        case "union":
          if (behindPointer) return x.kind === y.kind || (y.kind === "fwd" && y.union === (x.kind === "union"));
          return x.kind === y.kind && this.#composites(x, y, behindPointer, level);
        case "int":
          return y.kind === "int" && x.size === y.size && x.signed === y.signed;
        case "ptr":
          if (y.kind !== "ptr") return false;
          behindPointer = true;
          a = x.type;
          b = y.type;
          break;
        case "array":
          if (y.kind !== "array" || x.length !== y.length) return false;
          a = x.element;
          b = y.element;
          break;
        case "func_proto":
          if (y.kind !== "func_proto" || x.parameters.length !== y.parameters.length) return false;
          for (const [index, parameter] of x.parameters.entries()) {
            if (!this.types(parameter.type, y.parameters[index]!.type, behindPointer, level - 1)) return false;
          }
          a = x.returns;
          b = y.returns;
          break;
        default:
          return false;
      }
    }
    throw tooDeep(localId);
  }

  #enums(x: Extract<BtfType, { kind: "enum" | "enum64" }>, y: BtfType): boolean {
    if ((y.kind !== "enum" && y.kind !== "enum64") || x.size !== y.size) return false;
    if (x.values.length > y.values.length) return false;
    this.#steps.take(x.values.length + y.values.length);
    const names = new Set(y.values.map(({ name }) => essentialName(name)));
    return x.values.every(({ name }) => names.has(essentialName(name)));
  }

  #composites(
    x: Extract<BtfType, { kind: "struct" | "union" }>,
    y: BtfType,
    behindPointer: boolean,
    level: number,
  ): boolean {
    if (!isComposite(y) || x.members.length > y.members.length) return false;
    return x.members.every((mine) =>
      y.members.some((theirs) => {
        this.#steps.take();
        return doNamesMatch(mine.name, theirs.name) && this.types(mine.type, theirs.type, behindPointer, level - 1);
      }),
    );
  }
}

/** An anonymous type matches an anonymous one only. */
const doNamesMatch = (local: string, target: string): boolean =>
  target === "" ? local === "" : essentialName(local) === essentialName(target);
