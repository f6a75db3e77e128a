/** The compiler: object files and assembly → verified programs → Wasm. */
export * from "./front.ts";
export * from "./lowering/index.ts";
export * from "./verifier/index.ts";
