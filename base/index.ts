export * from "./bytes.ts";
export * from "./errors.ts";
export * from "./u64.ts";
