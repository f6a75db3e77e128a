/**
 * Writes BTF: types get ids in the order in which they are added, from 1, or in a BTF that is split from where its base ends.
 * Source: Documentation/bpf/btf.rst.
 */
import { BTF_MAGIC, type Btf } from "./btf.ts";
import { BTF_KINDS, type BtfKind } from "./types.ts";

const HEADER_BYTES = 24;
const ENCODER = new TextEncoder();

export interface WrittenMember {
  readonly name: string;
  readonly type: number;
  readonly offsetBytes: number;
}

/** BTF_INT_SIGNED and BTF_INT_BOOL; a char is an unsigned number of one byte */
const ENCODING = { unsigned: 0, signed: 1, bool: 4 } as const;

export class BtfWriter {
  readonly #words: number[] = [];
  readonly #strings: number[];
  readonly #firstString: number;
  readonly #offsets = new Map<string, number>([["", 0]]);
  #nextId: number;

  constructor(base: Btf | null = null) {
    // a BTF of its own begins with the empty string, a split one has its base's
    this.#strings = base === null ? [0] : [];
    this.#firstString = base?.strings.endOffset ?? 0;
    this.#nextId = base?.typeCount ?? 1;
  }

  int(name: string, sizeBytes: number, encoding: keyof typeof ENCODING): number {
    const id = this.#head(name, "int", 0, sizeBytes);
    this.#words.push((ENCODING[encoding] << 24) | (8 * sizeBytes));
    return id;
  }
  pointer(target: number): number {
    return this.#head("", "ptr", 0, target);
  }
  constant(target: number): number {
    return this.#head("", "const", 0, target);
  }
  typedef(name: string, target: number): number {
    return this.#head(name, "typedef", 0, target);
  }
  typeTag(tag: string, target: number): number {
    return this.#head(tag, "type_tag", 0, target);
  }
  array(element: number, length: number, index: number): number {
    const id = this.#head("", "array", 0, 0);
    this.#words.push(element, index, length);
    return id;
  }
  struct(name: string, sizeBytes: number, members: readonly WrittenMember[]): number {
    const id = this.#head(name, "struct", members.length, sizeBytes);
    for (const member of members) this.#words.push(this.#string(member.name), member.type, 8 * member.offsetBytes);
    return id;
  }
  /** Of a member by its index. */
  declTag(tag: string, target: number, component: number): number {
    const id = this.#head(tag, "decl_tag", 0, target);
    this.#words.push(component);
    return id;
  }
  prototype(returns: number, parameters: readonly { readonly name: string; readonly type: number }[]): number {
    const id = this.#head("", "func_proto", parameters.length, returns);
    for (const parameter of parameters) this.#words.push(this.#string(parameter.name), parameter.type);
    return id;
  }
  func(name: string, prototype: number, linkage: "static" | "global"): number {
    return this.#head(name, "func", linkage === "global" ? 1 : 0, prototype);
  }

  bytes(): Uint8Array {
    const typeBytes = this.#words.length * 4;
    const bytes = new Uint8Array(HEADER_BYTES + typeBytes + this.#strings.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, BTF_MAGIC, true);
    view.setUint8(2, 1);
    [HEADER_BYTES, 0, typeBytes, typeBytes, this.#strings.length].forEach((word, index) => {
      view.setUint32(4 + 4 * index, word, true);
    });
    this.#words.forEach((word, index) => {
      view.setUint32(HEADER_BYTES + 4 * index, word, true);
    });
    bytes.set(this.#strings, HEADER_BYTES + typeBytes);
    return bytes;
  }

  #head(name: string, kind: BtfKind, count: number, sizeOrType: number): number {
    this.#words.push(this.#string(name), (BTF_KINDS.indexOf(kind) << 24) | count, sizeOrType);
    return this.#nextId++;
  }

  /** Each text once. */
  #string(text: string): number {
    const known = this.#offsets.get(text);
    if (known !== undefined) return known;
    const offset = this.#firstString + this.#strings.length;
    this.#strings.push(...ENCODER.encode(text), 0);
    this.#offsets.set(text, offset);
    return offset;
  }
}
