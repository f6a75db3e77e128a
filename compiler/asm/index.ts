/** Text and binary form of instructions. */
export { decodeInsns, encodeInsns } from "./codec.ts";
export { type Insn, insnClass, isWideImmediate, wideImmediate } from "./instruction.ts";
export { type AsmComment, type AsmFunction, type Assembly, type ParseOptions, parseAssembly } from "./parse.ts";
export { type PrintOptions, printedSlots, printInsn, printProgram, targetOf } from "./print.ts";
export { type AssembledProgram, type AssembleOptions, assembleProgram, rawProgram } from "./program.ts";
