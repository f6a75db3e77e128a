/** Objects of small programs that call kernel functions and attach by name. */
import { type BpfObject, type ReadOptions, readObject } from "../../compiler/index.ts";
import { EXEC, GLOBAL_FUNC, GLOBAL_NONE, relocationSection, writeElf, writeInsns } from "../object/elf-writer.ts";
import { declare } from "./declarations.ts";

export interface ProgramPlan {
  readonly name: string;
  readonly section: string;
  /** kernel functions, declared in the types */
  readonly calls?: readonly string[];
  /** slots before `r0 = 0; exit` */
  readonly code?: readonly (readonly [number, number, number, number])[];
}

const R_BPF_64_32 = 10;

export const objectOf = (programs: readonly ProgramPlan[], externs: string, options: ReadOptions): BpfObject =>
  readObject(writePrograms(programs, externs), options);

/** `externs`: prototypes of the kernel functions that are called. */
export function writePrograms(programs: readonly ProgramPlan[], externs: string): Uint8Array {
  const called = [...new Set(programs.flatMap(({ calls = [] }) => calls))];
  const { bytes, idOf } = declare(externs, [".ksyms"]);
  const btf = called.length === 0 ? bytes : withSection(bytes, called.map(idOf));
  const sections = programs.map(({ section, calls = [], code = [] }) => ({
    name: section,
    flags: EXEC,
    bytes: writeInsns([...calls.map(() => [0x85, 0x10, 0, -1] as const), ...code, [0xb7, 0, 0, 0], [0x95, 0, 0, 0]]),
  }));
  const symbols = [
    ...programs.map(({ name }, index) => ({
      name,
      info: GLOBAL_FUNC,
      section: index + 1,
      value: 0,
      size: sections[index]!.bytes.length,
    })),
    ...called.map((name) => ({ name, info: GLOBAL_NONE, section: 0, value: 0, size: 0 })),
  ];
  const relocations = programs.flatMap(({ section, calls = [] }, index) =>
    calls.length === 0
      ? []
      : [
          relocationSection(
            section,
            index + 1,
            calls.map((name, slot) => ({
              offset: 8 * slot,
              type: R_BPF_64_32,
              symbol: 1 + programs.length + called.indexOf(name),
            })),
          ),
        ],
  );
  const license = { name: "license", bytes: new TextEncoder().encode("GPL\0") };
  return writeElf([...sections, license, { name: ".BTF", bytes: btf }, ...relocations], symbols);
}

/** Makes the functions extern and puts them into a data section .ksyms, as clang does. */
function withSection(btf: Uint8Array, functions: readonly number[]): Uint8Array {
  const view = new DataView(btf.buffer, btf.byteOffset);
  const typeBytes = view.getUint32(12, true);
  const heads = headsOf(view, typeBytes);
  const text = new TextDecoder().decode(btf.subarray(24 + typeBytes));
  const words = [text.indexOf(".ksyms"), (15 << 24) | functions.length, 0, ...functions.flatMap((id) => [id, 0, 0])];
  const grown = new Uint8Array(btf.length + 4 * words.length);
  grown.set(btf.subarray(0, 24 + typeBytes));
  grown.set(btf.subarray(24 + typeBytes), 24 + typeBytes + 4 * words.length);
  const out = new DataView(grown.buffer);
  for (const id of functions) out.setUint32(heads[id]! + 4, (12 << 24) | 2, true);
  words.forEach((word, index) => {
    out.setUint32(24 + typeBytes + 4 * index, word >>> 0, true);
  });
  out.setUint32(12, typeBytes + 4 * words.length, true);
  out.setUint32(16, typeBytes + 4 * words.length, true);
  return grown;
}

const TAIL: Readonly<Record<number, readonly [fixed: number, entry: number]>> = {
  1: [4, 0],
  3: [12, 0],
  4: [0, 12],
  5: [0, 12],
  6: [0, 8],
  13: [0, 8],
  14: [4, 0],
  19: [0, 12],
};

/** By id: where the type's head is in the file. */
function headsOf(view: DataView, typeBytes: number): number[] {
  const heads = [0];
  for (let at = 24; at < 24 + typeBytes; ) {
    heads.push(at);
    const info = view.getUint32(at + 4, true);
    const [fixed, entry] = TAIL[(info >>> 24) & 31] ?? [0, 0];
    at += 12 + fixed + entry * (info & 0xffff);
  }
  return heads;
}
