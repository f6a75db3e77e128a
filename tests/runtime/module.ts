/** Modules made by hand, byte by byte: what the compiler never emits (a trap in a program, an import that nobody has). */
import { ABI_VERSION, type CompiledObject, type MapSpec, type ProgramManifest } from "../../spec/index.ts";

/** Wasm opcodes that the tests use. */
export const OP = {
  unreachable: 0x00,
  end: 0x0b,
  call: 0x10,
  drop: 0x1a,
  i32Const: 0x41,
  i64Const: 0x42,
  localGet: 0x20,
} as const;

export interface HandMade {
  /** instructions of `main:NAME`, without the closing end; the stack must hold an i64 where they fall through */
  readonly body: readonly number[];
  /** functions without parameters and results, callable as 0, 1, … */
  readonly imports?: readonly (readonly [module: string, name: string])[];
}

export function handMade(name: string, { body, imports = [] }: HandMade): Uint8Array {
  const text = (value: string): number[] => [value.length, ...new TextEncoder().encode(value)];
  const section = (id: number, content: readonly number[]): number[] => [id, content.length, ...content];
  const code = [0, ...body, OP.end];
  // the batch of these runs main once and says that all events ran
  const batch = [0, OP.i32Const, 0, OP.call, imports.length, OP.drop, OP.localGet, 1, OP.end];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    // types: 0 is a program's (i32) → i64, 1 takes and gives nothing, 2 is a batch's (i32, i32) → i32
    ...section(1, [3, 0x60, 1, 0x7f, 1, 0x7e, 0x60, 0, 0, 0x60, 2, 0x7f, 0x7f, 1, 0x7f]),
    ...section(2, [imports.length, ...imports.flatMap(([from, what]) => [...text(from), ...text(what), 0, 1])]),
    ...section(3, [2, 0, 2]),
    ...section(7, [2, ...text(`main:${name}`), 0, imports.length, ...text(`batch:${name}`), 0, imports.length + 1]),
    ...section(10, [2, code.length, ...code, batch.length, ...batch]),
  ]);
}

export function handMadeObject(
  name: string,
  module: HandMade,
  detail: { readonly program?: Partial<ProgramManifest>; readonly maps?: readonly MapSpec[] } = {},
): CompiledObject {
  const program: ProgramManifest = {
    name,
    section: "",
    type: "tracepoint",
    attachType: null,
    attachTarget: `test/${name}`,
    autoload: true,
    insns: 1,
    helpers: [],
    maps: [],
    records: [],
    ...detail.program,
  };
  return {
    wasm: handMade(name, module),
    manifest: {
      abiVersion: ABI_VERSION,
      name: "hand-made",
      license: "GPL",
      maps: detail.maps ?? [],
      programs: [program],
      types: {},
    },
  };
}
