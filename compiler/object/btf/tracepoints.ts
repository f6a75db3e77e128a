/**
 * Tracepoints of an embedding program as BTF, split on the target's where there is one: what the kernel has for its own
 * (`btf_trace_NAME` for the type, `__bpf_trace_NAME` for the names of the arguments), so that programs of typed raw
 * tracepoints find them like any other.
 */
import { TRACEPOINT_ARGUMENTS, type TracepointDefinition } from "../../../spec/index.ts";
import { Btf } from "./btf.ts";
import { TRACEPOINT_TYPE_PREFIX, tracepointFunction } from "./raw-tracepoints.ts";
import { BtfWriter } from "./write.ts";

const VOID = 0;

export function tracepointBtf(definitions: readonly TracepointDefinition[], base: Btf | null): Btf {
  const writer = new BtfWriter(base);
  const types = new ArgumentTypes(writer);
  for (const { name, args } of definitions) {
    // The first parameter is the kernel's own, as in its tracepoints.
    const parameters = [{ name: "__data", type: types.pointer(VOID) }].concat(
      Object.entries(args).map(([argument, type]) => ({ name: argument, type: types.of(type) })),
    );
    const prototype = writer.prototype(VOID, parameters);
    writer.typedef(TRACEPOINT_TYPE_PREFIX + name, types.pointer(prototype));
    writer.func(tracepointFunction(name), prototype, "static");
  }
  return new Btf(writer.bytes(), base);
}

/** Types of arguments, each written once. */
class ArgumentTypes {
  readonly #writer: BtfWriter;
  readonly #shared = new Map<string, number>();

  constructor(writer: BtfWriter) {
    this.#writer = writer;
  }

  of(type: keyof typeof TRACEPOINT_ARGUMENTS): number {
    const { c, bytes, is, signed } = TRACEPOINT_ARGUMENTS[type];
    if (is === "pointer") return this.pointer(VOID);
    if (is === "text")
      return this.pointer(
        this.#once("const char", () => this.#writer.constant(this.#once(c, () => this.#writer.int(c, 1, "signed")))),
      );
    return this.#once(c, () => this.#writer.int(c, bytes, is === "bool" ? "bool" : signed ? "signed" : "unsigned"));
  }

  pointer(target: number): number {
    return this.#once(`* ${target}`, () => this.#writer.pointer(target));
  }

  #once(key: string, make: () => number): number {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const id = make();
    this.#shared.set(key, id);
    return id;
  }
}
