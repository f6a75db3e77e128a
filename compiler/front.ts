/**
 * What comes before the verifier: instructions as text and bytes, objects, their target. It is a small part of the compiler, and
 * all that a program needs whose code is kept in a cache.
 */
export * from "./asm/index.ts";
export { kernelLayoutsOf, rawTracepointArguments } from "./lowering/kernel-facts.ts";
export { VERY_LARGE_FUNCTION } from "./lowering/size.ts";
export * from "./object/index.ts";
export * from "./program.ts";
