/** The compiler: object files and assembly → verified programs → Wasm. */
export * from "./asm/index.ts";
export * from "./lowering/index.ts";
export * from "./object/index.ts";
export * from "./program.ts";
export * from "./verifier/index.ts";
