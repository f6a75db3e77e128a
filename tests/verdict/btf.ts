/**
 * BTF of a program's functions, as the kernel comparison gives it to the kernel: global functions take five numbers,
 * the others nothing that BTF tells of.
 *
 *     id 1         long
 *     id 2 + 2 i   prototype of function i
 *     id 3 + 2 i   function i
 */
import { Btf } from "../../compiler/object/index.ts";
import type { Program } from "../../compiler/program.ts";

const KIND = { INT: 1, FUNC: 12, FUNC_PROTO: 13 } as const;
const HEADER_BYTES = 24;
const MAGIC = 0xeb9f;
const LONG = 1;
const GLOBAL_PARAMETERS = 5;

/** The program with BTF that its functions refer to. */
export function withBtf(program: Program): Program {
  const strings = new Strings();
  const words: number[] = [strings.add("long"), KIND.INT << 24, 8, (1 << 24) | 64];
  const functions = program.functions.map((known, index) => {
    const count = known.linkage === "global" && known.insnIndex > 0 ? GLOBAL_PARAMETERS : 0;
    words.push(0, (KIND.FUNC_PROTO << 24) | count, LONG);
    for (let i = 0; i < count; i++) words.push(strings.add("a"), LONG);
    words.push(strings.add(known.name), (KIND.FUNC << 24) | (known.linkage === "global" ? 1 : 0), 2 + 2 * index);
    return { ...known, type: 3 + 2 * index };
  });
  return { ...program, functions, btf: new Btf(blob(words, strings.bytes)) };
}

class Strings {
  readonly bytes: number[] = [0];
  add(text: string): number {
    const at = this.bytes.length;
    this.bytes.push(...Buffer.from(text), 0);
    return at;
  }
}

function blob(words: readonly number[], strings: readonly number[]): Uint8Array {
  const typeBytes = words.length * 4;
  const bytes = new Uint8Array(HEADER_BYTES + typeBytes + strings.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC, true);
  view.setUint8(2, 1);
  [HEADER_BYTES, 0, typeBytes, typeBytes, strings.length].forEach((word, index) => {
    view.setUint32(4 + 4 * index, word, true);
  });
  words.forEach((word, index) => {
    view.setUint32(HEADER_BYTES + 4 * index, word, true);
  });
  bytes.set(strings, HEADER_BYTES + typeBytes);
  return bytes;
}
