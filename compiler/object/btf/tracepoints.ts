/**
 * Tracepoints of an embedding program as BTF, split on the target's where there is one: what the kernel has for its own
 * (`btf_trace_NAME` for the type, `__bpf_trace_NAME` for the names of the arguments), so that programs of typed raw
 * tracepoints find them like any other.
 */
import { TRACEPOINT_ARGUMENTS, type TracepointDefinition } from "../../../spec/index.ts";
import { BTF_MAGIC, Btf } from "./btf.ts";

const KIND = { INT: 1, PTR: 2, TYPEDEF: 8, CONST: 10, FUNC: 12, FUNC_PROTO: 13 } as const;
const SIGNED = 1 << 24;
const BOOL = 4 << 24;
const HEADER_BYTES = 24;
const VOID = 0;

export function tracepointBtf(definitions: readonly TracepointDefinition[], base: Btf | null): Btf {
  const writer = new Writer(base);
  for (const { name, args } of definitions) {
    // The first parameter is the kernel's own, as in its tracepoints.
    const parameters = [{ name: "__data", type: writer.pointer(VOID) }].concat(
      Object.entries(args).map(([argument, type]) => ({ name: argument, type: writer.argument(type) })),
    );
    const proto = writer.add(
      KIND.FUNC_PROTO,
      "",
      parameters.length,
      VOID,
      parameters.flatMap((parameter) => [writer.string(parameter.name), parameter.type]),
    );
    writer.add(KIND.TYPEDEF, `btf_trace_${name}`, 0, writer.pointer(proto));
    writer.add(KIND.FUNC, `__bpf_trace_${name}`, 0, proto);
  }
  return new Btf(writer.bytes(), base);
}

class Writer {
  readonly #firstId: number;
  readonly #firstString: number;
  readonly #words: number[] = [];
  #count = 0;
  #text: string;
  readonly #strings = new Map<string, number>([["", 0]]);
  readonly #shared = new Map<string, number>();

  constructor(base: Btf | null) {
    this.#firstId = base?.typeCount ?? 1;
    this.#firstString = base?.strings.endOffset ?? 0;
    // a BTF of its own begins with the empty string, a split one has its base's
    this.#text = base === null ? "\0" : "";
  }

  argument(type: keyof typeof TRACEPOINT_ARGUMENTS): number {
    const { c, bytes, is, signed } = TRACEPOINT_ARGUMENTS[type];
    if (is === "pointer") return this.pointer(VOID);
    if (is === "text")
      return this.pointer(this.#once("const char", () => this.add(KIND.CONST, "", 0, this.#integer(c, 1, SIGNED))));
    return this.#integer(c, bytes, is === "bool" ? BOOL : signed ? SIGNED : 0);
  }

  pointer(target: number): number {
    return this.#once(`* ${target}`, () => this.add(KIND.PTR, "", 0, target));
  }

  #integer(name: string, bytes: number, encoding: number): number {
    return this.#once(name, () => this.add(KIND.INT, name, 0, bytes, [encoding | (bytes * 8)]));
  }

  #once(key: string, make: () => number): number {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const id = make();
    this.#shared.set(key, id);
    return id;
  }

  /** `tail`: what follows the head, by kind. Returns the type's id. */
  add(kind: number, name: string, count: number, sizeOrType: number, tail: readonly number[] = []): number {
    this.#words.push(this.string(name), (kind << 24) | count, sizeOrType, ...tail);
    return this.#firstId + this.#count++;
  }

  string(text: string): number {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    const offset = this.#firstString + this.#text.length;
    this.#text += `${text}\0`;
    this.#strings.set(text, offset);
    return offset;
  }

  bytes(): Uint8Array {
    const strings = new TextEncoder().encode(this.#text);
    const typesBytes = this.#words.length * 4;
    const bytes = new Uint8Array(HEADER_BYTES + typesBytes + strings.length);
    const view = new DataView(bytes.buffer);
    view.setUint16(0, BTF_MAGIC, true);
    view.setUint8(2, 1);
    view.setUint32(4, HEADER_BYTES, true);
    view.setUint32(12, typesBytes, true);
    view.setUint32(16, typesBytes, true);
    view.setUint32(20, strings.length, true);
    for (const [index, word] of this.#words.entries()) view.setUint32(HEADER_BYTES + 4 * index, word, true);
    bytes.set(strings, HEADER_BYTES + typesBytes);
    return bytes;
  }
}
