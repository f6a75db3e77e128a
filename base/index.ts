export * from "./bytes.ts";
export * from "./errors.ts";
export type * from "./explanation.ts";
export * from "./u64.ts";
export type * from "./webassembly.ts";
