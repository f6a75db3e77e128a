/** Probes in user code, and memory of the traced processes. */
export { removeAbandonedProbes } from "./definition.ts";
export { type UsdtHook, usdtHooks } from "./usdt.ts";
export { makeProbing } from "./user-memory.ts";
