export * from "./asm/index.ts";
export * from "./program.ts";
