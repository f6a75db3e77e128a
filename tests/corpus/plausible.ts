/** Events that a hook could have: arguments, registers and records made of what the target's BTF says of the hook. */
import { type Kernel, type KernelObject, kernelObjects, type LinkedProgram, type Runtime } from "../../api/index.ts";
import { type Btf, findTracepoint } from "../../compiler/index.ts";
import { prototypeOf } from "../../compiler/object/btf/prototype.ts";
import type { Hook, HookArgument, Payload } from "../../runtime/index.ts";
import { flatMembers, isStruct } from "../../runtime/values/index.ts";
import { type CType, hookSpec } from "../../spec/index.ts";

/** Pointers that are followed from an argument. */
const DEPTH = 3;
/** Registers that hold arguments, on x86-64. */
const PARAMETERS = 6;

/** A generator of numbers, the same for the same seed (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

export class Events {
  readonly #btf: Btf;
  readonly #kernel: Kernel;
  readonly #runtime: Runtime;
  /** one object a struct: pointers to the same struct meet in it */
  readonly #objects = new Map<string, KernelObject>();

  constructor(runtime: Runtime, target: { readonly targetBtf: Btf }) {
    this.#btf = target.targetBtf;
    this.#runtime = runtime;
    this.#kernel = kernelObjects(runtime, target);
  }

  /** Pointers lead to objects whose own pointers lead further; numbers are small. */
  linked(hook: Hook, program: LinkedProgram, next: () => number): Payload {
    return this.#payload(hook, program, (type) => this.#argument(type, next));
  }

  /** Whatever there could be, null pointers included. */
  random(hook: Hook, program: LinkedProgram, next: () => number): Payload {
    return this.#payload(hook, program, (type) => {
      const shape = next() % 4;
      if (shape === 0) return 0;
      if (shape === 1) return (BigInt(next()) << 32n) | BigInt(next());
      const object = this.#argument(type, next);
      return object;
    });
  }

  #payload(hook: Hook, program: LinkedProgram, value: (type: CType | null) => HookArgument): Payload {
    const { context } = hookSpec(hook.kind);
    const { manifest } = program;
    switch (context) {
      case "arguments": {
        const types = this.#parameters(hook) ?? [];
        const count = Math.max(
          types.length,
          (manifest.argumentBytes ?? []).length,
          Math.ceil((manifest.ctxBytes ?? 0) / 8),
        );
        return Array.from({ length: count }, (_, index) => value(types[index] ?? null));
      }
      case "registers":
      case "perfEvent": {
        const types = this.#parameters(hook) ?? [];
        const args = Array.from({ length: PARAMETERS }, (_, index) => value(types[index] ?? null));
        const result = value(null);
        return context === "registers" ? { args, result, ip: 0xffff_ffff_8123_4560n } : { result, ip: 0x40_1000 };
      }
      case "payload": {
        const bytes = new Uint8Array(Math.max(64, manifest.ctxBytes ?? 0));
        for (let at = 8; at < bytes.length; at += 8) {
          const word = BigInt.asUintN(64, BigInt(value(null) as number | bigint));
          new DataView(bytes.buffer).setBigUint64(Math.min(at, bytes.length - 8), word, true);
        }
        return bytes;
      }
      default:
        return Uint8Array.from({ length: 96 }, (_, index) => Number(value(null) ?? 0) + index);
    }
  }

  /** Of the function or tracepoint behind the hook; null: BTF does not know it. */
  #parameters({ kind, name }: Hook): CType[] | null {
    const btf = this.#btf;
    if (kind === "raw_tracepoint") {
      const id = findTracepoint(btf, name);
      const types = id === null ? null : prototypeOf(btf, id, "ptr");
      return types?.parameters.slice(1).map(({ type }) => btf.ctype(type)) ?? null;
    }
    const id = btf.findByName(name, "func");
    const prototype = id === null ? null : prototypeOf(btf, id, "func");
    return prototype?.parameters.map(({ type }) => btf.ctype(type)) ?? null;
  }

  #argument(type: CType | null, next: () => number): HookArgument {
    if (type?.kind !== "pointer") return next() % 512;
    const name = structName(type.target);
    if (name !== null && this.#btf.findByName(name, "struct") !== null) return this.#object(name, DEPTH, next);
    return 0;
  }

  #object(name: string, depth: number, next: () => number): KernelObject {
    const known = this.#objects.get(name);
    if (known !== undefined) return known;
    const object = this.#kernel[name]!();
    this.#objects.set(name, object);
    const { bytes } = this.#runtime.world;
    for (let at = 0; at < object.type.size; at += 4) bytes[object.address + at] = next() % 8;
    if (depth === 0) {
      for (const { offsetBits, type } of flatMembers(object.type)) {
        if (type.kind === "pointer")
          bytes.fill(0, object.address + offsetBits / 8, object.address + offsetBits / 8 + 8);
      }
      return object;
    }
    for (const { name: member, type } of flatMembers(object.type)) {
      if (type.kind !== "pointer") continue;
      const target = structName(type.target);
      const isKnown = target !== null && this.#isStruct(target);
      object.set({
        [member]: isKnown ? this.#object(target, depth - 1, next) : type.target.includes("char") ? "text" : null,
      });
    }
    return object;
  }

  #isStruct(name: string): boolean {
    const id = this.#btf.findByName(name, "struct");
    return id !== null && isStruct(this.#btf.ctype(id));
  }
}

const structName = (target: string): string | null => /^(?:const )?struct (\w+)$/.exec(target)?.[1] ?? null;
