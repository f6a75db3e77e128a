/** Text and binary form of instructions. */
export { decodeInsns, encodeInsns } from "./codec.ts";
export { type Insn, isWideImmediate } from "./instruction.ts";
export { parseAssembly } from "./parse.ts";
export { printInsn, printProgram } from "./print.ts";
export { assembleProgram, rawProgram } from "./program.ts";
