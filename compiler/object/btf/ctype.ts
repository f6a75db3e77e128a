/**
 * BTF → CType, the tree that the runtime reads records with. Subtrees are shared, so building is linear; because readers
 * walk the tree as a tree, a type that would unfold into too many nodes becomes opaque.
 */
import { ObjectError } from "../../../base/index.ts";
import type { CMember, CType, EnumValue } from "../../../spec/index.ts";
import type { BtfEnumerator, BtfType } from "./types.ts";

/** What is asked of a Btf here. */
export interface TypeSource {
  typeById(id: number): BtfType;
  skipModifiers(id: number): number;
  sizeOf(id: number): number | null;
}

/** Structs and arrays inside one another; the kernel allows as many. */
const DEPTH = 32;
const MOST_NODES = 50_000;

interface Built {
  readonly ctype: CType;
  /** of the unfolded tree */
  readonly nodes: number;
}

export class CTypes {
  readonly #types: TypeSource;
  readonly #built = new Map<number, Built | "building">();

  constructor(types: TypeSource) {
    this.#types = types;
  }

  of(id: number): CType {
    return this.#build(id, 0).ctype;
  }

  #build(id: number, depth: number): Built {
    const known = this.#built.get(id);
    if (known === "building") throw new ObjectError("BTF_MALFORMED", `type ${id} contains itself`);
    if (known !== undefined) return known;
    if (depth > DEPTH) throw new ObjectError("BTF_MALFORMED", `type ${id} nests more than ${DEPTH} deep`);
    this.#built.set(id, "building");
    try {
      const whole = this.#unfold(id, depth);
      const built = whole.nodes <= MOST_NODES ? whole : opaque(nameOfCType(whole.ctype), whole.ctype.size);
      this.#built.set(id, built);
      return built;
    } finally {
      if (this.#built.get(id) === "building") this.#built.delete(id);
    }
  }

  #unfold(id: number, depth: number): Built {
    const resolved = this.#types.skipModifiers(id);
    const type = this.#types.typeById(resolved);
    switch (type.kind) {
      case "int":
        return leaf({
          kind: "int",
          name: type.name,
          size: type.size,
          signed: type.signed,
          // clang says signed, not char, for `char`
          encoding: type.bool ? "bool" : type.char || type.name === "char" ? "char" : "int",
        });
      case "float":
        return leaf({ kind: "float", name: type.name, size: type.size });
      case "enum":
      case "enum64":
        return leaf({
          kind: "enum",
          name: this.#nameOrTypedef(type.name, id),
          size: type.size,
          signed: type.signed,
          values: type.values.map(enumValue),
        });
      case "ptr": {
        const target = this.#describe(type.type);
        return leaf({ kind: "pointer", name: `${target} *`, size: 8, target });
      }
      case "array": {
        const element = this.#build(type.element, depth + 1);
        return {
          ctype: {
            kind: "array",
            size: this.#types.sizeOf(resolved) ?? 0,
            length: type.length,
            element: element.ctype,
          },
          nodes: element.nodes + 1,
        };
      }
      case "struct":
      case "union": {
        let nodes = 1;
        const members: CMember[] = type.members.map((member) => {
          const built = this.#build(member.type, depth + 1);
          nodes += built.nodes;
          const inner = this.#types.typeById(this.#types.skipModifiers(member.type));
          // Before clang 7 a bit-field's place was in its int type.
          const old = member.bitfieldBits === 0 && inner.kind === "int" && inner.bits !== 8 * inner.size;
          return {
            name: member.name,
            offsetBits: member.offsetBits + (old ? inner.offsetBits : 0),
            bitfieldBits: old ? inner.bits : member.bitfieldBits,
            type: built.ctype,
          };
        });
        const name = this.#nameOrTypedef(type.name, id);
        return { ctype: { kind: type.kind, name, size: type.size, members }, nodes };
      }
      default:
        return opaque(this.#describe(id), 0);
    }
  }

  /** `typedef struct { … } event_t`: an anonymous type takes the name of the typedef nearest to it. */
  #nameOrTypedef(name: string, id: number): string {
    if (name !== "") return name;
    let nearest = "";
    for (let at = id; ; ) {
      const type = this.#types.typeById(at);
      if (type.kind === "typedef") nearest = type.name;
      else if (
        type.kind !== "const" &&
        type.kind !== "volatile" &&
        type.kind !== "restrict" &&
        type.kind !== "type_tag"
      )
        return nearest;
      at = type.type;
    }
  }

  /** As C writes it, without following pointers further than they go. */
  #describe(id: number): string {
    let stars = "";
    let at = id;
    for (let steps = 0; steps < DEPTH; steps++) {
      const type = this.#types.typeById(at);
      switch (type.kind) {
        case "void":
          return `void${stars}`;
        case "struct":
        case "union":
        case "enum":
          return `${type.kind} ${type.name || "(anonymous)"}${stars}`;
        case "enum64":
          return `enum ${type.name || "(anonymous)"}${stars}`;
        case "fwd":
          return `${type.union ? "union" : "struct"} ${type.name}${stars}`;
        case "func_proto":
          return `function${stars}`;
        case "array":
          return `array${stars}`;
        case "ptr":
          stars = stars === "" ? " *" : `${stars}*`;
          at = type.type;
          break;
        case "const":
        case "volatile":
        case "restrict":
        case "type_tag":
          at = type.type;
          break;
        default:
          return `${type.name}${stars}`;
      }
    }
    return `…${stars}`;
  }
}

const leaf = (ctype: CType): Built => ({ ctype, nodes: 1 });
const opaque = (name: string, size: number): Built => leaf({ kind: "opaque", name, size });
const nameOfCType = (ctype: CType): string => (ctype.kind === "array" ? "array" : ctype.name);

function enumValue({ name, value }: BtfEnumerator): EnumValue {
  const number = Number(value);
  return { name, value: Number.isSafeInteger(number) ? number : value.toString() };
}
