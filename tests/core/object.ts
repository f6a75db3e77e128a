/** An object with one program, of one instruction that CO-RE relocates and `r0 = 0; exit`. */
import { CORE_KINDS, type CoreKind } from "../../compiler/object/core/kinds.ts";
import { EXEC, GLOBAL_FUNC, writeElf, writeInsns } from "../object/elf-writer.ts";
import { declare } from "./declarations.ts";

export interface CoreCase {
  /** declarations of the program's types */
  readonly types: string;
  readonly kind: CoreKind;
  /** name of the type */
  readonly type: string;
  readonly access: string;
  readonly form: FormName;
  /** what the instruction holds before */
  readonly held: bigint;
}

type Slot = readonly [opcode: number, registers: number, offset: number, immediate: number];

const arithmetic =
  (opcode: number) =>
  (held: bigint): Slot[] => [[opcode, 0x01, 0, Number(BigInt.asIntN(32, held))]];
const access =
  (opcode: number, imm = 0) =>
  (held: bigint): Slot[] => [[opcode, 0x21, Number(BigInt.asIntN(16, held)), imm]];

/** Instructions that are tried, by the name that the table gives them. */
export const FORMS = {
  mov: arithmetic(0xb7),
  mov32: arithmetic(0xb4),
  add: arithmetic(0x07),
  and32: arithmetic(0x54),
  /** second operand a register */
  movx: arithmetic(0xbf),
  ldx1: access(0x71),
  ldx2: access(0x69),
  ldx4: access(0x61),
  ldx8: access(0x79),
  ldsx4: access(0x81),
  st1: access(0x72, 7),
  st4: access(0x62, 7),
  st8: access(0x7a, 7),
  stx1: access(0x73),
  stx2: access(0x6b),
  stx4: access(0x63),
  stx8: access(0x7b),
  atomic8: access(0xdb),
  lddw: (held: bigint): Slot[] => [
    [0x18, 0x01, 0, Number(BigInt.asIntN(32, held))],
    [0, 0, 0, Number(BigInt.asIntN(32, held >> 32n))],
  ],
  /** a map's address */
  lddwmap: (held: bigint): Slot[] => [
    [0x18, 0x21, 0, Number(BigInt.asIntN(32, held))],
    [0, 0, 0, 0],
  ],
  call: (held: bigint): Slot[] => [[0x85, 0, 0, Number(BigInt.asIntN(32, held))]],
  ja: (): Slot[] => [[0x05, 0, 0, 0]],
  jeq: (held: bigint): Slot[] => [[0x15, 1, 0, Number(BigInt.asIntN(32, held))]],
} as const satisfies Record<string, (held: bigint) => Slot[]>;
export type FormName = keyof typeof FORMS;

const SECTION = "socket";

export function writeObject(test: CoreCase): Uint8Array {
  const { bytes, idOf, stringAt } = declare(test.types, [SECTION, test.access]);
  const code = writeInsns([...FORMS[test.form](test.held), [0xb7, 0, 0, 0], [0x95, 0, 0, 0]]);
  const ext = writeExt(stringAt(SECTION), [0, idOf(test.type), stringAt(test.access), CORE_KINDS.indexOf(test.kind)]);
  return writeElf(
    [
      { name: SECTION, flags: EXEC, bytes: code },
      { name: "license", bytes: new TextEncoder().encode("GPL\0") },
      { name: ".BTF", bytes },
      { name: ".BTF.ext", bytes: ext },
    ],
    [{ name: "program", info: GLOBAL_FUNC, section: 1, value: 0, size: code.length }],
  );
}

/** .BTF.ext with CO-RE relocations of one section and nothing else. */
export function writeExt(section: number, ...relocations: readonly (readonly number[])[]): Uint8Array {
  const count = relocations.length;
  const words = [0x1eb9f, 32, 0, 0, 0, 0, 0, 12 + 16 * count, 16, section, count, ...relocations.flat()];
  const bytes = new Uint8Array(4 * words.length);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of words.entries()) view.setUint32(4 * index, word, true);
  return bytes;
}
