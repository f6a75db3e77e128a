/**
 * BTF of a program's functions, as the kernel comparison gives it to the kernel: global functions take five numbers,
 * the others nothing that BTF tells of.
 *
 *     id 1         long
 *     id 2 + 2 i   prototype of function i
 *     id 3 + 2 i   function i
 */
import { BtfWriter } from "../../compiler/object/btf/write.ts";
import { Btf } from "../../compiler/object/index.ts";
import type { Program } from "../../compiler/program.ts";

const GLOBAL_PARAMETERS = 5;

/** The program with BTF that its functions refer to. */
export function withBtf(program: Program): Program {
  const writer = new BtfWriter();
  const long = writer.int("long", 8, "signed");
  const functions = program.functions.map((known) => {
    const count = known.linkage === "global" && known.insnIndex > 0 ? GLOBAL_PARAMETERS : 0;
    const parameters = Array.from({ length: count }, () => ({ name: "a", type: long }));
    const prototype = writer.prototype(long, parameters);
    return { ...known, type: writer.func(known.name, prototype, known.linkage) };
  });
  return { ...program, functions, btf: new Btf(writer.bytes()) };
}
